"""The rows that each loader writes equal the sandbox's records, except for known faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness import PROJECT
from harness.comparison import Difference, tables
from kombo_sandbox import Sandbox
from loaders.loading import Load
from loaders.scenario import CHANGED_STREAMS, RARE, change_records, start_sandbox
from loaders.stores import Rows, Servers, create_place, servers
from loaders.table import LOADERS, Loader

pytestmark = pytest.mark.timeout(600)

STREAMS = {table.name for table in tables(PROJECT / "catalog.json")} | {"sync_status"}


def having(*results: str) -> list[Loader]:
    return [loader for loader in LOADERS if loader.result in results]


def name_of(value: Loader | str) -> str:
    return value if isinstance(value, str) else value.name


def load_of(loader: Loader, sandbox: Sandbox, servers: Servers, folder: Path) -> Load:
    """Create an empty place for a loader."""
    return Load(loader, sandbox, create_place(servers, loader.environment, folder), folder)


CORRECT = having("upserts", "deletes", "appends")


@pytest.fixture(scope="session")
def all_servers() -> Iterator[Servers]:
    with servers() as found:
        yield found


@dataclass(frozen=True)
class Loaded:
    """The rows after two syncs, and how they differ from the sandbox at that time.

    Attributes:
        load: The load.
        rows: The rows after the second sync.
        first: Differences after the first sync.
        second: Differences after the second sync, with changes and deletions.
        by_fault: Known fault -> the differences after the second sync if it is not expected.
    """

    load: Load
    rows: Rows
    first: list[Difference]
    second: list[Difference]
    by_fault: dict[str, list[Difference]]


@pytest.fixture(scope="module", params=CORRECT, ids=name_of)
def loaded(
    request: pytest.FixtureRequest,
    all_servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Loaded]:
    loader: Loader = request.param
    with start_sandbox(without=loader.stops_at) as sandbox:
        load = load_of(loader, sandbox, all_servers, tmp_path_factory.mktemp("load"))
        assert load.run() == (0, 0), load.log
        first = load.differences(load.rows())
        change_records(sandbox)
        assert load.run() == (0, 0), load.log
        rows = load.rows()
        by_fault = {
            name: load.differences(rows, {*loader.faults} - {name}) for name in loader.faults
        }
        yield Loaded(load, rows, first, load.differences(rows), by_fault)


def test_first_sync_is_equal_to_the_sandbox(loaded: Loaded) -> None:
    assert [str(found) for found in loaded.first[:10]] == []


def test_second_sync_stores_changes_and_deletions(loaded: Loaded) -> None:
    assert [str(found) for found in loaded.second[:10]] == []


def test_all_streams_are_stored(loaded: Loaded) -> None:
    assert loaded.rows.keys() == STREAMS


def test_only_appending_loaders_have_several_rows_of_a_record(loaded: Loaded) -> None:
    repeated = {
        table.name
        for table in tables(PROJECT / "catalog.json")
        for rows in [loaded.rows[table.name]]
        if len({table.key_of(row) for row in rows}) < len(rows)
    }

    assert repeated >= {*CHANGED_STREAMS} if loaded.load.loader.appends else not repeated


def test_rows_with_metadata_have_the_time_of_their_extraction(loaded: Loaded) -> None:
    if not loaded.load.loader.metadata:
        pytest.skip("the loader adds no metadata columns")

    assert all(row["_sdc_extracted_at"] for row in loaded.rows["ats_offers"])


def test_known_faults_still_exist(loaded: Loaded) -> None:
    assert [name for name, found in loaded.by_fault.items() if not found] == []


@pytest.mark.parametrize("loader", [one for one in LOADERS if one.unflattened], ids=name_of)
def test_loader_without_flattening_fails_or_stores_other_values(
    loader: Loader, all_servers: Servers, tmp_path: Path
) -> None:
    with start_sandbox(without=loader.stops_at) as sandbox:
        load = load_of(replace(loader, flattened=False), sandbox, all_servers, tmp_path)

        _, code = load.run()

        assert code != 0 or load.differences(load.rows())


@pytest.mark.parametrize("loader", [one for one in CORRECT if one.metadata], ids=name_of)
def test_loader_without_metadata_columns_only_lacks_those(
    loader: Loader, all_servers: Servers, tmp_path: Path
) -> None:
    settings = {**loader.settings, **dict.fromkeys(loader.metadata, False)}
    with start_sandbox(without=loader.stops_at) as sandbox:
        load = load_of(replace(loader, settings=settings), sandbox, all_servers, tmp_path)

        assert load.run() == (0, 0)

        rows = load.rows()
        assert not any("_sdc_extracted_at" in row for row in rows["ats_offers"])
        missing = {(found.column, found.in_database) for found in load.differences(rows)}
        assert missing <= {("_sdc_deleted_at", "no such column")}


def test_csv_files_without_a_timestamp_are_replaced(all_servers: Servers, tmp_path: Path) -> None:
    [loader] = [one for one in LOADERS if one.name == "meltanolabs-target-csv"]
    settings = {"add_record_metadata": True}
    with start_sandbox() as sandbox:
        # Otherwise the lookback of the second sync would include the patched records.
        sandbox.advance(seconds=3600)
        load = load_of(replace(loader, settings=settings), sandbox, all_servers, tmp_path)
        assert load.run() == (0, 0)
        assert load.differences(load.rows()) == []

        assert load.run() == (0, 0)

        assert load.rows()["ats_jobs"] == []


@pytest.mark.parametrize(
    ("loader", "value"),
    [(loader, value) for loader in CORRECT for value in loader.stops_at],
    ids=name_of,
)
def test_loader_fails_on_a_rare_value(
    loader: Loader, value: str, all_servers: Servers, tmp_path: Path
) -> None:
    with start_sandbox(without=RARE.keys() - {value}) as sandbox:
        load = load_of(loader, sandbox, all_servers, tmp_path)

        assert load.run() != (0, 0)


@pytest.mark.parametrize("loader", having("loses records"), ids=name_of)
def test_loader_loses_records_without_an_error(
    loader: Loader, all_servers: Servers, tmp_path: Path
) -> None:
    with start_sandbox() as sandbox:
        load = load_of(loader, sandbox, all_servers, tmp_path)

        assert load.run() == (0, 0)

        missing = [found for found in load.differences(load.rows()) if found.column == "the row"]
        assert len(missing) > len(STREAMS) / 2


@pytest.mark.parametrize("loader", having("fails"), ids=name_of)
def test_loader_fails(loader: Loader, all_servers: Servers, tmp_path: Path) -> None:
    with start_sandbox() as sandbox:
        load = load_of(loader, sandbox, all_servers, tmp_path)

        _, code = load.run()

        assert code != 0
        assert loader.error in load.log
