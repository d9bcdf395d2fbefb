"""The command's files and environment variables, without running the tap."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from tap_kombo import cli
from tap_kombo.errors import InputError
from tap_kombo.tap import TapKombo

TapKombo.append_builtin_config(TapKombo.config_jsonschema)
SECRET = "ks_prod_4711"

OLD = b'{"bookmarks": {"ats_jobs": {}}}'
NEW = b'{"bookmarks": {"ats_offers": {}}}'


@pytest.mark.parametrize(
    "content",
    [
        NEW,
        NEW + b"\n",
        OLD + b"\n" + NEW + b"\n",
        OLD + b"\r\n" + NEW + b"\r\n",
        OLD + b"\n" + NEW + b"\n\n",
        OLD + b"\n" + NEW + b"\n" + OLD[:20],
    ],
    ids=["one", "one line", "lines", "Windows", "empty last line", "truncated last line"],
)
@pytest.mark.parametrize("block", [1, 30, 40, 1 << 20])
def test_last_complete_line_of_a_state_file_is_the_state(
    monkeypatch: pytest.MonkeyPatch, content: bytes, block: int
) -> None:
    monkeypatch.setattr(cli, "STATE_BLOCK", block)

    assert json.loads(cli.last_state(io.BytesIO(content))) == json.loads(NEW)


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_state_may_have_several_lines(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(cli, "STATE_BLOCK", block)
    content = json.dumps(json.loads(NEW), indent=2).encode() + b"\n"

    assert json.loads(cli.last_state(io.BytesIO(content))) == json.loads(NEW)


def test_state_file_is_read_from_its_end(tmp_path: Path) -> None:
    """The file grows by about a line per second of each run, and may not fit into memory."""
    path = tmp_path / "states.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 34)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + OLD + b"\n" + NEW + b"\n" + OLD[:20])

    assert json.loads(cli.read_file(str(path), "state")) == json.loads(NEW)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        f'{{"api_key": "{SECRET}"'.encode(),
        f'{{"api_key": "{SECRET}"}}'.encode("utf-16"),
        b"\xff\xfe\x00",
        rb'{"\ud800": 1}',
        b"[" * 200_000,
    ],
    ids=["empty", "truncated", "secret", "UTF-16", "binary", "lone surrogate", "deep nesting"],
)
def test_file_must_be_json(text: bytes) -> None:
    with pytest.raises(InputError) as caught:
        cli.parse_json(text, "config.json", "config file")

    assert str(caught.value) == "config.json: the config file is not valid JSON."


@pytest.mark.parametrize("content", ["[1]", "null", '"x"'])
def test_config_file_must_hold_an_object(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)

    with pytest.raises(InputError, match=r"config\.json: the config file does not hold a JSON obj"):
        cli.read_config(str(path))


@pytest.mark.parametrize(
    ("name", "problem"), [("missing.json", "No such file"), ("", "Is a directory")]
)
def test_file_must_be_readable(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(InputError, match=f"the state file cannot be read: {problem}"):
        cli.read_file(str(tmp_path / name), "state")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (
            f"`filters.{SECRET}`: there is no such stream.",
            "`filters.***`: there is no such stream.",
        ),
        (f"TAP_KOMBO_{SECRET}=1", "TAP_KOMBO_***=1"),
        ("`filters.word`: there", "`filters.***`: there"),
        ("words hris_tasks_x", "words hris_tasks_x"),
        ('Use a value like "ks_prod_...".', 'Use a value like "ks_prod_...".'),
    ],
)
def test_keys_are_hidden(monkeypatch: pytest.MonkeyPatch, text: str, hidden: str) -> None:
    monkeypatch.setenv("TAP_KOMBO_API_KEY", "word")

    assert cli.hide_keys(text) == hidden


# Environment variables


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("PAGE_SIZE", "many", "Use digits."),
        ("PAGE_SIZE", "", "Use digits."),
        ("PAGE_SIZE", "-5", "Use digits."),
        ("FLATTENING_MAX_DEPTH", SECRET, "Use digits."),
        ("INCLUDE_DELETED", "", "Use true or false."),
        ("INCLUDE_DELETED", "y", "Use true or false."),
        ("IGNORE_UNSUPPORTED_FILTERS", "TRUE ", "Use true or false."),
        ("FLATTENING_ENABLED", SECRET, "Use true or false."),
        ("FILTERS", "{", "not valid JSON"),
        ("STREAM_MAPS", SECRET, "not valid JSON"),
    ],
)
def test_variable_must_have_the_type_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, advice: str
) -> None:
    monkeypatch.setenv(f"TAP_KOMBO_{name}", text)

    with pytest.raises(InputError) as caught:
        cli.check_environment(TapKombo.config_jsonschema)

    assert str(caught.value).startswith(f"TAP_KOMBO_{name}: ")
    assert advice in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PAGE_SIZE", " 5 "),
        ("INCLUDE_DELETED", "No"),
        ("IGNORE_UNSUPPORTED_FILTERS", "ON"),
        ("FLATTENING_ENABLED", "0"),
        ("INTEGRATION_IDS", '["a:b"]'),
        ("STREAM_MAPS", "{}"),
        ("LOGLEVEL", "INFO"),
        ("_SELECT", "[]"),
    ],
)
def test_valid_variable_is_accepted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, text: str
) -> None:
    monkeypatch.setenv(f"TAP_KOMBO_{name}", text)

    cli.check_environment(TapKombo.config_jsonschema)

    assert caplog.messages == []


def test_variable_that_is_not_a_setting_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TAP_KOMBO_FILTER", SECRET)

    cli.check_environment(TapKombo.config_jsonschema)

    [warning] = caplog.messages
    assert "`FILTER`: the setting does not exist (did you mean FILTERS?)" in warning
    assert SECRET not in warning
