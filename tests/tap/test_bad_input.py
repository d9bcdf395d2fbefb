"""A mistake in what the tap is given: one clear sentence, exit 1, nothing on stdout."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tap_kombo import settings
from tests.tap_run import TAP, TapRun, catalog_with, run_tap

KEY = "ks_dev_secret_of_ours"
GOOD: dict[str, Any] = {
    "api_key": KEY,
    "integration_ids": ["personio:B1hu5NGyhdjSq5X3hxEz4bAN"],
    "api_url": "http://127.0.0.1:9/v1",
}


def assert_refused(run: TapRun, *words: str) -> None:
    assert run.code == 1
    assert run.stdout == b""
    assert "Traceback" not in run.stderr
    assert KEY not in run.stderr
    assert len(run.errors) == 1, run.stderr
    for word in words:
        assert word in run.errors[0]


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        pytest.param("api_key", None, ["`api_key` is missing"], id="no api_key"),
        pytest.param("api_key", "", ["`api_key` is missing"], id="empty api_key"),
        pytest.param("api_key", "ks dev", ["`api_key` is not a key"], id="api_key with a space"),
        pytest.param("api_key", "ks_dev\n", ["`api_key` is not a key"], id="api_key with newline"),
        pytest.param("api_key", ["ks_dev_x"], ["`api_key` is not a key"], id="api_key is a list"),
        pytest.param("integration_ids", None, ["missing or empty"], id="no integration_ids"),
        pytest.param("integration_ids", [], ["missing or empty"], id="empty integration_ids"),
        pytest.param(
            "integration_ids", "a:b", ["list of strings"], id="integration_ids is a string"
        ),
        pytest.param("integration_ids", ["a:b", ""], ["Entry 2"], id="an empty integration id"),
        pytest.param("integration_ids", ["a:b", "a/../b"], ["Entry 2"], id="an id with a path"),
        pytest.param("integration_ids", ['["a:b'], ["Entry 1"], id="an id that begins a list"),
        pytest.param("integration_ids", ["a:b']"], ["Entry 1"], id="an id that ends a list"),
        pytest.param("integration_ids", ["a:b,c:d"], ["Entry 1"], id="an id that is two"),
        pytest.param("integration_ids", ["a:b", 3], ["Entry 2"], id="a number as integration id"),
        pytest.param(
            "integration_ids", ["a:b", "c:d", "a:b"], ["'a:b' more than once"], id="a duplicate id"
        ),
        pytest.param("region", "de", ["'de'", "eu, us, ca"], id="unknown region"),
        pytest.param("api_url", "http://kombo.example/v1", ["unencrypted"], id="http elsewhere"),
        pytest.param("api_url", "http://10.0.0.7/v1", ["unencrypted"], id="http in the network"),
        pytest.param("api_url", "kombo.dev", ["must be a URL"], id="no URL"),
        pytest.param("api_url", "https://[::1/v1", ["must be a URL"], id="half a URL"),
        pytest.param("api_url", "https://u:p@kombo.dev/v1", ["without a user"], id="URL with user"),
        pytest.param("page_size", 0, ["1 to 250"], id="page_size 0"),
        pytest.param("page_size", 251, ["1 to 250"], id="page_size 251"),
        pytest.param("page_size", True, ["1 to 250"], id="page_size true"),
        pytest.param("page_size", 1.5, ["1 to 250"], id="page_size 1.5"),
        pytest.param("concurrency", 0, ["1 to 64"], id="concurrency 0"),
        pytest.param(
            "lookback_seconds", 86_400 * 7 + 1, ["0 to 604800"], id="lookback of more than a week"
        ),
        pytest.param("include_deleted", "no", ["true or false"], id="include_deleted as string"),
        pytest.param("start_date", "yesterday", ["start_date", "not a time"], id="no date"),
        pytest.param("start_date", "2026-13-01", ["start_date", "not a time"], id="month 13"),
        pytest.param("start_date", "P1D", ["start_date", "not a time"], id="a duration"),
        pytest.param("start_date", 20260101, ["start_date", "not a time"], id="a number as date"),
        pytest.param("batch_config", {"encoding": {}}, ["not offered", "deselection"], id="BATCH"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(
    setting: str, value: object, words: list[str]
) -> None:
    sentences = settings.problems(settings.with_defaults({**GOOD, setting: value}))

    assert len(sentences) == 1
    for word in words:
        assert word in sentences[0]
    if setting == "api_key" and value:
        assert str(value) not in sentences[0]


def test_good_settings_are_no_problem() -> None:
    own = {**GOOD, "integration_ids": ["personio:B1hu5NGyhdjSq5X3hxEz4bAN", "a_b.c-d:1"]}

    assert settings.problems(settings.with_defaults(own)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"api_key": ""}, id="no api_key"),
        pytest.param({"api_key": 4711}, id="api_key is a number"),
        pytest.param({"integration_ids": []}, id="no integration_ids"),
        pytest.param({"api_url": "http://kombo.example/v1"}, id="http elsewhere"),
        pytest.param({"page_size": 251}, id="page_size 251"),
    ],
)
def test_the_command_prints_that_sentence_and_exits_with_1(wrong: dict[str, Any]) -> None:
    assert_refused(run_tap({**GOOD, **wrong}), f"`{next(iter(wrong))}`")


def test_two_wrong_settings_are_two_sentences() -> None:
    run = run_tap({**GOOD, "region": "de", "page_size": 0})

    assert run.code == 1
    assert len(run.errors) == 2


def test_the_sdks_own_settings_are_checked_too() -> None:
    assert_refused(run_tap({**GOOD, "stream_maps": {"ats_offers": 7}}), "stream_maps")


@pytest.mark.parametrize("setting", ["stream_maps", "stream_map_config", "faker_config"])
@pytest.mark.parametrize("value", [KEY, [KEY]], ids=["text", "list"])
def test_what_must_be_an_object_is_refused_without_what_it_is(setting: str, value: object) -> None:
    assert_refused(run_tap({**GOOD, setting: value}), f"`{setting}` must be an object")


def test_a_setting_that_does_not_exist_is_a_warning_with_a_guess() -> None:
    run = run_tap({**GOOD, "integration_id": "x", "max_wait_seconds": 0}, "--test=schema")

    assert run.code == 0
    assert [w for w in run.warnings if "`integration_id`" in w and "`integration_ids` meant" in w]


@pytest.mark.parametrize("option", ["config", "state", "catalog"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, ["cannot be read", "No such file"], id="absent"),
        pytest.param(b"{", ["not valid JSON"], id="half"),
        pytest.param(b'{"api_key": "ks_dev_secret_of_ours"', ["not valid JSON"], id="cut"),
        pytest.param(b"\xff\xfe\x00", ["not valid JSON"], id="binary"),
        pytest.param(b"[1]", [], id="a list"),
    ],
)
def test_an_unreadable_file_is_named(
    option: str, content: bytes | None, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_bytes(content)
    run = run_tap({} if option == "config" else GOOD, f"--{option}", str(path))

    assert_refused(run, option.replace("config", "settings"), *words)


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_settings_from_a_pipe_are_read_once(path: str) -> None:
    """Who keeps the key off the disk writes `--config <(sops -d ...)`."""
    process = subprocess.run(
        [TAP, "--config", path, "--test=schema"],
        input=json.dumps(GOOD).encode(),
        capture_output=True,
        check=False,
    )
    run = TapRun(process.returncode, process.stdout, process.stderr.decode())

    assert run.code == 0, run.errors
    assert run.schemas


def test_of_several_settings_files_the_later_wins(tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps({**GOOD, "page_size": 0, "concurrency": 0}))

    assert_refused(run_tap({"page_size": 250}, "--config", str(earlier)), "`concurrency` is 0")


def test_a_settings_file_may_be_in_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**GOOD, "concurrency": 4.0}), encoding="utf-16")

    assert_refused(run_tap({}, "--config", str(path)), "`concurrency` is 4.0,")


def test_a_file_that_is_nested_without_end_is_not_valid_json(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_bytes(b"[" * 200_000)

    assert_refused(run_tap(GOOD, "--state", str(path)), "not valid JSON")


def test_a_folder_instead_of_a_file_is_named(tmp_path: Path) -> None:
    assert_refused(run_tap(GOOD, "--state", str(tmp_path)), "Is a directory")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        pytest.param(
            {"type": "STATE", "value": {"bookmarks": {}}}, ["whole STATE message"], id="a message"
        ),
        pytest.param(
            {"singer_state": {"bookmarks": {}}}, ["`singer_state`"], id="as Meltano keeps it"
        ),
        pytest.param({"currently_syncing": "x"}, ["not one of tap-kombo's"], id="no bookmarks"),
        pytest.param({"bookmarks": []}, ["not one of tap-kombo's"], id="bookmarks is a list"),
        pytest.param(
            {"bookmarks": {"github_issues": {}}},
            ["another tap", "github_issues"],
            id="another tap's",
        ),
        pytest.param(
            {"bookmarks": {"ats_offers": {"partitions": [{"context": {"org": "x"}}]}}},
            ["ats_offers", "context"],
            id="foreign partitions",
        ),
        pytest.param(
            {
                "bookmarks": {
                    "ats_offers": {
                        "partitions": [
                            {
                                "context": {"integration_id": GOOD["integration_ids"][0]},
                                "replication_key_value": "soon",
                            }
                        ]
                    }
                }
            },
            ["ats_offers", "not a time"],
            id="a bookmark that is no time",
        ),
    ],
)
def test_a_foreign_state_is_refused_instead_of_reading_everything_again(
    state: dict[str, Any], words: list[str]
) -> None:
    assert_refused(run_tap(GOOD, state=state), *words)


def test_a_state_that_could_not_be_written_again_is_refused(tmp_path: Path) -> None:
    """A lone surrogate is valid JSON, but no text."""
    path = tmp_path / "state.json"
    path.write_text(r'{"bookmarks": {}, "\ud800": 1}')

    assert_refused(run_tap(GOOD, "--state", str(path)), "state.json", "surrogate", "mend it")


def test_an_unknown_stream_in_the_catalog_is_named_with_a_guess() -> None:
    catalog = catalog_with("ats_offers")
    catalog["streams"][0]["tap_stream_id"] = "ats_ofers"

    assert_refused(run_tap(GOOD, catalog=catalog), "'ats_ofers'", "ats_offers meant", "--discover")


def test_a_catalog_that_is_none_is_refused() -> None:
    assert_refused(run_tap(GOOD, catalog={"tables": []}), "not a Singer catalog")


def test_a_catalog_file_that_holds_null_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    path.write_text("null")

    assert_refused(run_tap(GOOD, "--catalog", str(path)), "catalog.json holds null", "--catalog")


def run_with_environment(**settings: str) -> TapRun:
    """Run with settings from the environment, which are good but for these."""
    good = {
        "API_KEY": KEY,
        "INTEGRATION_IDS": json.dumps(GOOD["integration_ids"]),
        "API_URL": GOOD["api_url"],
    }
    env = {f"TAP_KOMBO_{name}": text for name, text in {**good, **settings}.items()}
    return run_tap({}, "--config", "ENV", "--test=schema", env=env)


def test_a_wrong_setting_in_the_environment_is_one_sentence() -> None:
    assert_refused(run_with_environment(PAGE_SIZE="many"), "environment", "digits")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("INCLUDE_DELETED", "", id="empty"),
        pytest.param("INCLUDE_DELETED", "y", id="y"),
        pytest.param("IGNORE_UNSUPPORTED_FILTERS", "TRUE ", id="a space behind"),
        pytest.param("FLATTENING_ENABLED", KEY, id="the key in the wrong place"),
    ],
)
def test_what_is_neither_true_nor_false_in_the_environment_is_not_false(
    name: str, text: str
) -> None:
    assert_refused(run_with_environment(**{name: text}), f"TAP_KOMBO_{name} ", "true or false")


def test_true_and_false_have_many_names_in_the_environment() -> None:
    run = run_with_environment(
        INCLUDE_DELETED="No", IGNORE_UNSUPPORTED_FILTERS="ON", FLATTENING_ENABLED="0"
    )

    assert run.code == 0


def test_a_variable_that_is_no_setting_is_a_warning_with_a_guess() -> None:
    run = run_with_environment(FILTER="{}", LOGLEVEL="INFO", _SELECT="[]")

    assert run.code == 0
    [warning] = run.warnings
    assert "`TAP_KOMBO_FILTER`" in warning
    assert "`TAP_KOMBO_FILTERS` meant" in warning


def test_a_test_that_the_tap_does_not_have_is_refused() -> None:
    """The SDK takes it for its own test, which prints records."""
    assert_refused(run_tap(GOOD, "--test=records"), "`--test`", "'records'", "all, schema")


def test_the_help_tells_what_the_taps_own_test_does() -> None:
    run = run_tap({}, "--help")

    told = " ".join(run.stdout.decode().split())
    assert "sync a single record" not in told
    assert "--test TEXT Prove the key and each integration" in told
