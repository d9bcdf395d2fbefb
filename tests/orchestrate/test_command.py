"""The command line: arguments and files that are not valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from kombo_shards import __main__ as command
from kombo_shards.store import Store


@pytest.mark.parametrize(
    "arguments",
    [
        ["--shard=-1"],
        ["--of=-2"],
        ["--of=0"],
        ["--shard=-1", "--of=-2"],
        ["--shard=5", "--of=3"],
    ],
)
def test_a_shard_that_does_not_exist_is_rejected(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["run", "/nowhere/integrations", *arguments])

    assert caught.value.code == 2
    assert "--shard must be at least 0 and less than --of" in capsys.readouterr().err


def test_a_file_of_integrations_that_is_not_valid_is_rejected(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KOMBO_DATABASE_URL", store.url)
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\x89PNG\xff")

    assert command.main(["run", str(tmp_path / "empty")]) == 2
    assert command.main(["run", str(tmp_path / "binary")]) == 2
    assert capsys.readouterr().err.count("\n") == 2
