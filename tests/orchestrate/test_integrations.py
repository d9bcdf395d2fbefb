"""The list of integrations, and the shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kombo_shards.configuration import ConfigurationError
from kombo_shards.integrations import (
    LABEL_LENGTH,
    find_integrations,
    integrations_in,
    label,
    shards,
)

IDS = ["personio:B1hu5NGyhdjSq5X3hxEz4bAN", "greenhouse:jChnp6K4vWauG9qVNc3wcvzk"]


def find(source: Any, *, variable: Any = None, rows: Any = ()) -> list[str]:
    return find_integrations(source, read_variable=lambda _: variable, read_sql=lambda *_: rows)


def test_the_source_is_a_list_a_variable_a_file_or_a_query(tmp_path: Path) -> None:
    lines, array = tmp_path / "lines", tmp_path / "array"
    lines.write_text("\n".join([*IDS, ""]))
    array.write_text(json.dumps(IDS))

    assert find(IDS) == IDS
    assert find({"variable": "customers"}, variable=IDS) == IDS
    assert find({"file": str(lines)}) == IDS
    assert find({"file": str(array)}) == IDS
    assert find({"sql": "SELECT ...", "connection": "crm"}, rows=[(one,) for one in IDS]) == IDS


def test_duplicates_are_read_once() -> None:
    assert find([*IDS, IDS[0]]) == IDS


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "must be a list of integrations, or a source of one"),
        ({"sql": "SELECT ..."}, "must be a list of integrations, or a source of one"),
        ([], "`integration_ids` has no integration. Add one"),
        ({"sql": "SELECT ...", "connection": "crm"}, "The query in crm has no integration"),
        ([IDS[0], "personio"], "entry 2 is not a valid integration id"),
        ([IDS[0], None], "entry 2 is not a valid integration id"),
        ({"variable": "customers"}, "The variable customers must be a list"),
        ({"file": "/nowhere/ids"}, "/nowhere/ids cannot be read: No such file"),
    ],
)
def test_a_source_that_is_not_valid_is_one_sentence(source: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find(source)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f'["{IDS[0]}",'.encode(), "is not valid JSON"),
        (b"\x89PNG\xff\x00", "is not a text file"),
        (b"", "has no integration"),
        (b"\n\n", "has no integration"),
        (b"\x00\x00", "entry 1 is not a valid integration id"),
        (b"[" * 100_000, "is not valid JSON"),
    ],
)
def test_a_file_that_is_not_valid_is_one_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "ids").write_bytes(content)

    with pytest.raises(ConfigurationError, match=sentence):
        integrations_in(tmp_path / "ids")


@pytest.mark.parametrize(
    ("integrations", "size"), [(1, 20), (20, 20), (21, 20), (3001, 20), (7, 1)]
)
def test_shards_contain_each_integration_once_and_have_similar_sizes(
    integrations: int, size: int
) -> None:
    names = [f"personio:{number}" for number in range(integrations)]

    groups = shards(names, size)

    assert sorted(name for group in groups for name in group) == sorted(names)
    assert max(map(len, groups)) <= size
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


def test_there_are_at_most_as_many_shards_as_airflow_maps() -> None:
    groups = shards([f"personio:{number}" for number in range(30_000)], 20, at_most=1024)

    assert len(groups) == 1024
    assert {len(group) for group in groups} == {29, 30}


@pytest.mark.parametrize("size", [0, -2])
def test_a_size_below_one_is_rejected(size: int) -> None:
    with pytest.raises(ConfigurationError, match="`shard_size` must be at least 1"):
        shards(IDS, size)


def test_the_name_of_a_shard_lists_its_integrations_if_there_is_room() -> None:
    many = [f"smartrecruiters:{number:024}" for number in range(20)]

    assert label(IDS) == ", ".join(IDS)
    assert len(label(many)) <= LABEL_LENGTH
    assert label(many).startswith("smartrecruiters:00000, ")
    assert label(many).endswith(", ... 20 in all")
