"""The command `kombo-shards`: arguments and files that are not valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tap_kombo_airflow.cli import main


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        (b"a:1\nb:2", ["--shard=-1"], "--shard: the number must be at least 0 and less than --of"),
        (b"a:1\nb:2", ["--of=0"], "--shard: the number must be at least 0 and less than --of"),
        (
            b"a:1\nb:2",
            ["--shard=5", "--of=3"],
            "--shard: the number must be at least 0 and less than --of",
        ),
        (b"a:1\nb:2", ["--shard=2", "--of=3"], "--of: there are only 2 integrations"),
        (b"a:1\nb:2", ["--schema=100%s"], "its name contains `%`"),
        (b"", [], "there is no integration"),
        (
            b"\x89PNG\xff",
            [],
            'Write an id on each line, a JSON list, or {"sql": "SELECT ..."}.',
        ),
    ],
)
def test_an_argument_or_a_file_that_is_not_valid_is_reported_in_one_sentence(
    content: bytes,
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "ids").write_bytes(content)

    assert main(["run", str(tmp_path / "ids"), *arguments]) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1
