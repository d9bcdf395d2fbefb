"""Fixtures of the system tests: the plugins of `meltano.yml`, PostgreSQL and sandboxes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.meltano import Pipeline
from harness.meltano import installed_plugins as lock_plugins
from harness.postgres import Postgres, postgres
from harness.processes import running
from kombo_sandbox import Sandbox
from tests.end_to_end.changing_sandbox import start_changing_sandbox


@pytest.fixture(scope="session")
def installed_plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("install")
    with lock_plugins(Pipeline(folder, {}, folder / "log").install):
        yield


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def changing_sandbox() -> Iterator[Sandbox]:
    """A slow sandbox whose records the tests of a module change."""
    with running(start_changing_sandbox, Sandbox.stop) as sandbox:
        yield sandbox
