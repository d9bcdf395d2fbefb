"""The list of integrations, its shards, and the settings of the target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tap_kombo_airflow.integrations import find_integration_ids, make_shards
from tap_kombo_airflow.settings import ConfigurationError, target_settings
from tap_kombo_airflow.store import Store

NO_DATABASE = Store({"host": "/nowhere"}, "kombo")

IDS = ["personio:B1hu5NGyhdjSq5X3hxEz4bAN", "greenhouse:jChnp6K4vWauG9qVNc3wcvzk"]


@pytest.mark.parametrize(
    "content",
    ["\n".join([*IDS, ""]), json.dumps(IDS, indent=1), json.dumps(IDS, separators=(",", ":"))],
    ids=["lines", "JSON", "compact JSON"],
)
def test_a_file_has_an_id_on_each_line_or_is_a_json_list(tmp_path: Path, content: str) -> None:
    (tmp_path / "ids").write_text(content)

    assert find_integration_ids(tmp_path / "ids", "ids", NO_DATABASE) == IDS


def test_a_query_returns_an_id_in_each_row(store: Store, tmp_path: Path) -> None:
    query = f"SELECT unnest('{{{IDS[0]}, {IDS[1]}}}'::text[]), 'ignored'"
    (tmp_path / "ids").write_text(json.dumps({"sql": query}))

    assert find_integration_ids({"sql": query}, "ids", store) == IDS
    assert find_integration_ids(tmp_path / "ids", "ids", store) == IDS


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT id FROM customers", 'relation "customers" does not exist'),
        ("SELECT NULL", "entry 1 is not a valid integration id"),
        ("SELECT 1 WHERE false", "there is no integration"),
    ],
)
def test_a_query_that_returns_no_ids_is_rejected(query: str, sentence: str, store: Store) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        find_integration_ids({"sql": query}, "ids", store)


def test_duplicates_are_read_once() -> None:
    assert find_integration_ids([*IDS, IDS[0]], "ids", NO_DATABASE) == IDS


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (None, "this is not a list of integrations"),
        ({"sql": None}, "this is not a list of integrations"),
        ([], "there is no integration. Add one"),
        ([IDS[0], "personio"], "entry 2 is not a valid integration id"),
        ([IDS[0], None], "entry 2 is not a valid integration id"),
    ],
)
def test_a_list_that_is_not_valid_is_rejected(found: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^`integration_ids`: {sentence}"):
        find_integration_ids(found, "`integration_ids`", NO_DATABASE)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f'["{IDS[0]}",'.encode(), "the file is not valid"),
        (b"[" * 100_000, "the file is not valid"),
        (b"\x89PNG\xff\x00", "the file is not valid"),
        (b"\x00\x00", "entry 1 is not a valid integration id"),
        (b"", "there is no integration"),
        (b"\n\n", "there is no integration"),
    ],
)
def test_a_file_that_is_not_valid_is_rejected(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "ids").write_bytes(content)

    with pytest.raises(ConfigurationError, match=f"^{tmp_path}/ids: {sentence}"):
        find_integration_ids(tmp_path / "ids", "ids", NO_DATABASE)


def test_a_file_that_does_not_exist_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match=r"^/nowhere/ids: the file cannot be read"):
        find_integration_ids(Path("/nowhere/ids"), "ids", NO_DATABASE)


@pytest.mark.parametrize(
    ("integrations", "size"), [(1, 20), (20, 20), (21, 20), (3001, 20), (7, 1)]
)
def test_shards_contain_each_integration_once_and_have_similar_sizes(
    integrations: int, size: int
) -> None:
    names = [f"personio:{number}" for number in range(integrations)]

    shards = make_shards(names, size, at_most=1024)

    assert sorted(name for shard in shards for name in shard) == sorted(names)
    assert max(map(len, shards)) <= size
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_there_are_at_most_as_many_shards_as_airflow_maps() -> None:
    shards = make_shards([f"personio:{number}" for number in range(30_000)], 20, at_most=1024)

    assert len(shards) == 1024
    assert {len(shard) for shard in shards} == {29, 30}


@pytest.mark.parametrize("size", [0, -2])
def test_a_shard_size_below_one_is_rejected(size: int) -> None:
    with pytest.raises(ConfigurationError, match=f"^`shard_size`: {size} is not valid"):
        make_shards(IDS, size, at_most=1024)


def test_the_target_connects_with_the_same_parameters_as_the_store() -> None:
    database = {"host": "/a b", "port": "5433", "user": "ann", "password": "o@p/e?n:#% +&="}

    url = make_url(target_settings(database, "kombo")["sqlalchemy_url"])

    _, arguments = url.get_dialect()().create_connect_args(url)
    assert arguments == database
