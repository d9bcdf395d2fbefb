"""Mistakes in the command's settings and files: one line each, and exit status 1."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.tap import TAP, TapRun, catalog_with, run_tap

KEY = "ks_dev_secret"
SETTINGS: dict[str, Any] = {
    "api_key": KEY,
    "integration_ids": ["personio:B1hu5NGyhdjSq5X3hxEz4bAN"],
    "api_url": "http://127.0.0.1:9/v1",
}


def assert_rejected(run: TapRun, *sentences: str) -> None:
    """Check that the command fails with these sentences, or more, and prints nothing else."""
    assert run.code == 1
    assert run.stdout == b""
    assert "Traceback" not in run.stderr
    assert KEY not in run.stderr
    assert len(run.errors) == len(sentences), run.stderr
    for error, sentence in zip(run.errors, sentences, strict=True):
        assert sentence in error


# Settings


def test_each_mistake_in_the_settings_is_one_line() -> None:
    run = run_tap({**SETTINGS, "region": "de", "page_size": 0})

    assert_rejected(
        run,
        "`region`: the setting is not valid. Use one of eu, us, ca.",
        "`page_size`: the setting is not valid. Use a whole number from 1 to 250.",
    )


@pytest.mark.parametrize("value", [None, ""], ids=["null", "empty"])
def test_setting_that_is_null_or_empty_is_missing(value: object) -> None:
    assert_rejected(run_tap({**SETTINGS, "api_key": value}), "`api_key`: the setting is missing.")


@pytest.mark.parametrize("name", ["api_key", "stream_maps", "faker_config"])
def test_value_of_a_setting_is_not_printed(name: str) -> None:
    assert_rejected(run_tap({**SETTINGS, name: [KEY]}), f"`{name}`: the setting is not valid.")


@pytest.mark.parametrize(
    "settings",
    [
        {"region": KEY},
        {"integration_ids": [KEY]},
        {KEY: 1},
        {"filters": {KEY: {}}},
        {"filters": {"ats_offers": {KEY: "x"}}},
        {"stream_maps": {KEY: None}},
        {"stream_maps": {"ats_offers": {KEY: None}}},
        {"stream_maps": {"ats_offers": {"status": KEY}}},
        {"stream_maps": {"ats_offers": {"__alias__": f"{KEY}("}}},
        {"stream_maps": {"ats_offers": {"__key_properties__": [KEY]}}},
        {"start_date": KEY},
        {"api_url": f"https://{KEY}@kombo.dev"},
    ],
    ids=repr,
)
def test_key_in_the_wrong_place_is_not_printed(settings: dict[str, Any]) -> None:
    run = run_tap({**SETTINGS, **settings}, "--test=schema")

    assert run.errors or run.warnings
    assert KEY not in run.stderr


@pytest.mark.parametrize(
    "arguments", [(KEY,), (f"--{KEY}",), ("--config", KEY), ("--catalog", KEY), ("--format", KEY)]
)
def test_key_as_an_argument_is_not_printed(arguments: tuple[str, ...]) -> None:
    run = run_tap(SETTINGS, *arguments)

    assert run.code in {1, 2}
    assert run.stderr
    assert KEY not in run.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/v1", "https://./v1"], ids=["port", "host"])
def test_impossible_api_url_is_named(url: str) -> None:
    run = run_tap({**SETTINGS, "api_url": url}, catalog=catalog_with("ats_offers"))

    assert run.code == 1
    assert "`api_url`" in run.errors[0]
    assert "Traceback" not in run.stderr


def test_unknown_setting_is_a_warning() -> None:
    run = run_tap({**SETTINGS, "integration_id": "x", "batch_config": {}}, "--test=schema")

    assert run.code == 0
    first, second = run.warnings
    assert "`integration_id`: the setting does not exist (did you mean integration_ids?)" in first
    assert "`batch_config`: the setting does not exist" in second


def test_settings_of_a_later_file_have_precedence(tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps({**SETTINGS, "page_size": 0, "concurrency": 0}))

    run = run_tap({"page_size": 250}, "--config", str(earlier))

    assert_rejected(run, "`concurrency`: the setting is not valid.")


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_settings_can_be_read_from_a_pipe(path: str) -> None:
    """A secret manager can pass the key: `--config <(sops -d config.json)`."""
    process = subprocess.run(
        [TAP, "--config", path, "--test=schema"],
        input=json.dumps(SETTINGS).encode(),
        capture_output=True,
        check=False,
    )

    assert process.returncode == 0, process.stderr
    assert process.stdout


# Environment variables


def run_with_environment(**variables: str) -> TapRun:
    """Run with valid settings from the environment, except for these."""
    valid = {
        "API_KEY": KEY,
        "INTEGRATION_IDS": json.dumps(SETTINGS["integration_ids"]),
        "API_URL": SETTINGS["api_url"],
    }
    env = {f"TAP_KOMBO_{name}": text for name, text in {**valid, **variables}.items()}
    return run_tap({}, "--config", "ENV", "--test=schema", env=env)


def test_settings_can_be_read_from_the_environment() -> None:
    run = run_with_environment(
        INCLUDE_DELETED="No", PAGE_SIZE="5", FILTERS="{}", FLATTENING_ENABLED="0", _SELECT="[]"
    )

    assert run.code == 0, run.stderr
    assert run.warnings == []


def test_variables_that_are_not_read_are_a_warning() -> None:
    env = {"TAP_KOMBO_API_KEY": KEY, "TAP_KOMBO_FILTERS": "{}", "TAP_KOMBO_REGION": ""}

    run = run_tap({**SETTINGS, "api_key": ""}, env=env)

    assert_rejected(run, "`api_key`: the setting is missing.")
    [warning] = run.warnings
    assert warning == (
        "Environment: the tap does not read TAP_KOMBO_API_KEY, TAP_KOMBO_FILTERS. Add "
        "`--config ENV`, or declare the settings in meltano.yml."
    )


def test_variables_of_settings_that_a_file_has_are_no_warning() -> None:
    """Meltano passes its settings in both."""
    run = run_tap(SETTINGS, "--test=schema", env={"TAP_KOMBO_API_KEY": KEY})

    assert run.code == 0
    assert run.warnings == []


def test_start_date_without_an_offset_is_mentioned() -> None:
    run = run_tap({**SETTINGS, "start_date": "2026-01-31T12:00:00"}, "--test=schema")

    assert run.code == 0
    assert sum("`start_date`: the time has no offset" in line for line in run.log) == 1


def test_mistake_in_the_environment_is_one_line() -> None:
    assert_rejected(run_with_environment(PAGE_SIZE="many"), "TAP_KOMBO_PAGE_SIZE: ")


def test_unknown_variable_is_a_warning() -> None:
    run = run_with_environment(FILTER="{}")

    assert run.code == 0
    [warning] = run.warnings
    assert "`FILTER`: the setting does not exist (did you mean FILTERS?)" in warning


# Files


@pytest.mark.parametrize("option", ["config", "state", "catalog"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read: No such file"), (b'{"api_key": "ks_dev_secret"', "is not valid JSON")],
    ids=["missing", "truncated"],
)
def test_unreadable_file_is_named(
    tmp_path: Path, option: str, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_bytes(content)

    run = run_tap({} if option == "config" else SETTINGS, f"--{option}", str(path))

    assert_rejected(run, f"wrong.json: the {option} file {problem}")


def test_catalog_file_that_holds_null_is_not_the_same_as_no_file(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text("null")

    run = run_tap(SETTINGS, "--catalog", str(path))

    assert_rejected(run, "wrong.json: the catalog file holds null. Omit --catalog.")


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"bookmarks": {"github_issues": {}}}, "State: the bookmarks are another tap's"),
        (
            {"bookmarks": {"ats_offers": {"partitions": [{"context": {"org": "x"}}]}}},
            "State: the bookmark of ats_offers is not valid",
        ),
    ],
    ids=["another tap's", "another tap's partition"],
)
def test_state_of_another_tap_is_rejected(state: dict[str, Any], problem: str) -> None:
    assert_rejected(run_tap(SETTINGS, state=state), problem)


def test_mistake_in_the_catalog_is_one_line() -> None:
    assert_rejected(run_tap(SETTINGS, catalog={"tables": []}), "Catalog: the file is not a Singer")


# The option --test


def test_unknown_test_is_rejected() -> None:
    """The SDK would run its own test instead, which prints records."""
    assert_rejected(run_tap(SETTINGS, "--test=records"), "`--test`: there is no such test.")


def test_help_describes_the_taps_own_test() -> None:
    help_text = " ".join(run_tap({}, "--help").stdout.decode().split())

    assert "sync a single record" not in help_text
    assert "--test TEXT Check the API key and each integration" in help_text
