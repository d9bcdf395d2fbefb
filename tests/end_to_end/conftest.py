"""One Kombo, one database, and two runs of Meltano with changes between them, for all tests here.

The tests only look at what was there at each moment, so they run in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from harness import PROJECT
from harness.comparison import Key, Record, Row, Table, records_of, tables
from harness.meltano import Pipeline, sandbox_settings
from harness.meltano import installed_plugins as installed_plugins_during
from harness.postgres import Postgres, postgres
from harness.processes import running
from kombo_sandbox import Request, Sandbox
from tap_kombo.streams import MODELS
from tests.end_to_end.living_kombo import start_living_kombo

CATEGORIES = ("ATS", "HRIS", "LMS", "ASSESSMENT")
CATALOG = tables(PROJECT / "catalog.json")
PATHS = {model.name: model.path for model in MODELS}


@dataclass(frozen=True)
class Moment:
    """Kombo and the database when a run has ended.

    Attributes:
        held: What Kombo holds: stream -> integration -> records.
        rows: What the tables hold: stream -> rows.
        requests: What that run asked Kombo for.
        giving: Which integrations have such data: stream -> integrations.
        log: What the run said.
        clock: Kombo's clock before and after the run.
    """

    held: dict[str, dict[str, list[Record]]]
    rows: dict[str, list[Row]]
    requests: list[Request]
    giving: dict[str, set[str]]
    log: str
    clock: tuple[str, str]


@dataclass(frozen=True)
class Changes:
    """What happened in Kombo between the runs: ids of offers.

    Attributes:
        changed: Their own fields.
        nested: Only what they show of others.
        deleted: They are gone from the tool.
        found: What Kombo itself gives when asked for changes: stream -> keys.
    """

    changed: set[str]
    nested: set[str]
    deleted: set[str]
    found: dict[str, set[Key]]


@dataclass(frozen=True)
class Journey:
    """What Kombo's records went through, from the first run to the second.

    Attributes:
        state: What Meltano keeps between the runs.
    """

    first: Moment
    state: dict[str, Any]
    changes: Changes
    second: Moment


@pytest.fixture(scope="session")
def installed_plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("install")
    with installed_plugins_during(Pipeline(folder, {}, folder / "log").install):
        yield


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def kombo() -> Iterator[Sandbox]:
    """A Kombo with three integrations, which only tests here know; they leave it as it is."""
    with running(lambda: Sandbox(integrations=3, offers=200, seed=3), Sandbox.stop) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def living_kombo() -> Iterator[Sandbox]:
    """A Kombo in which things happen; the tests of a module share it."""
    with running(start_living_kombo, Sandbox.stop) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def journey(
    installed_plugins: None,  # noqa: ARG001  # they must be there
    database: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Journey]:
    folder = tmp_path_factory.mktemp("journey")
    with running(start_sandbox, Sandbox.stop) as sandbox:
        target = {"TARGET_POSTGRES_SQLALCHEMY_URL": database.url}
        settings = {**sandbox_settings(sandbox), **target}
        sandbox.advance(seconds=3600)
        pipeline = Pipeline(folder, settings, folder / "first.log")
        first = run(pipeline, sandbox, database)
        state = pipeline.state("target-postgres")
        # What the first run has read is out of reach of the second one's lookback.
        sandbox.advance(seconds=3600)
        changes = change(sandbox)
        second = run(Pipeline(folder, settings, folder / "second.log"), sandbox, database)
        yield Journey(first, state, changes, second)


def start_sandbox() -> Sandbox:
    return Sandbox(integrations=2, offers=120, seed=7, categories=CATEGORIES)


def run(pipeline: Pipeline, sandbox: Sandbox, database: Postgres) -> Moment:
    sandbox.clear_requests()
    before = sandbox.clock()
    pipeline.run("target-postgres")
    return Moment(
        held={table.name: records_of(sandbox, table) for table in CATALOG},
        rows={table.name: database.table("kombo", table.name) for table in CATALOG},
        requests=sandbox.requests(),
        giving={table.name: giving(sandbox, table) for table in CATALOG},
        log=pipeline.log.read_text(),
        clock=(before, sandbox.clock()),
    )


def change(sandbox: Sandbox) -> Changes:
    since = sandbox.clock()
    live = sandbox.records("ats_offers", include_deleted=False)
    single = [
        offer["id"]
        for offer in live
        if [other["application_id"] for other in live].count(offer["application_id"]) == 1
    ]
    *changed, nested, deleted = single[:: len(single) // 6][:6]
    return Changes(
        changed=set(sandbox.change("ats_offers", ids=changed)),
        nested=set(sandbox.change_nested("ats_offers", ids=[nested])),
        deleted=set(sandbox.delete("ats_offers", ids=[deleted])),
        found={table.name: found_since(sandbox, table, since) for table in CATALOG},
    )


def found_since(sandbox: Sandbox, table: Table, since: str) -> set[Key]:
    """Ask as Kombo's documentation says, without the tap; of a full table, all is found."""
    params = {"include_deleted": "true", "updated_after": since}
    return {
        table.key_of({**record, "integration_id": integration_id})
        for integration_id in giving(sandbox, table)
        for record in (
            pages(sandbox, PATHS[table.name], integration_id, params)
            if table.is_incremental
            else sandbox.records(table.name, integration_id)
        )
    }


def giving(sandbox: Sandbox, table: Table) -> set[str]:
    """Find the integrations that have such data; all tell of themselves."""
    if not table.name.startswith(tuple(f"{category.lower()}_" for category in CATEGORIES)):
        return set(sandbox.integration_ids)
    return {
        integration_id
        for integration_id in sandbox.integration_ids
        for model in sandbox.records("integration_models", integration_id)
        if model["id"] == table.name and model["is_available"]
    }


def pages(
    sandbox: Sandbox, path: str, integration_id: str, params: dict[str, str]
) -> Iterator[Record]:
    headers = {
        "Authorization": f"Bearer {sandbox.api_key}",
        "X-Integration-Id": integration_id,
    }
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        answer = requests.get(
            sandbox.url + path, params=params | cursor, headers=headers, timeout=10
        )
        answer.raise_for_status()
        data = answer.json()["data"]
        yield from data["results"]
        cursor = {"cursor": data["next"]} if data["next"] else None
