"""Fixtures: a sandbox, a PostgreSQL server, and a project that uses the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import PostgresCopy

from harness.dbt import DbtProject
from harness.postgres import Postgres, postgres
from harness.processes import running
from harness.tap import run_tap, settings_for
from kombo_sandbox import Sandbox

CATEGORIES = ["ATS", "HRIS", "LMS", "ASSESSMENT"]


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with running(
        lambda: Sandbox(integrations=2, categories=CATEGORIES, offers=12, seed=5), Sandbox.stop
    ) as sandbox:
        sandbox.advance(seconds=3600)
        yield sandbox


@pytest.fixture(scope="module")
def messages(kombo: Sandbox) -> bytes:
    """A first sync of all streams."""
    run = run_tap(settings_for(kombo))
    assert run.code == 0, run.stderr
    return run.stdout


@pytest.fixture
def copy(database: Postgres, messages: bytes, tmp_path: Path) -> Iterator[PostgresCopy]:
    """A separate copy in PostgreSQL, which a test may change."""
    copy = PostgresCopy(database, tmp_path, schema="kombo")
    copy.drop()
    copy.load(messages)
    yield copy
    copy.drop()


@pytest.fixture
def project(copy: PostgresCopy, tmp_path: Path) -> DbtProject:
    return DbtProject(tmp_path / "project", copy.profile)
