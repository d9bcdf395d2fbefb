"""Where the integrations come from, and how they are grouped."""

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


def test_they_come_from_a_list_a_variable_a_file_or_a_query(tmp_path: Path) -> None:
    lines, array = tmp_path / "lines", tmp_path / "array"
    lines.write_text("\n".join([*IDS, ""]))
    array.write_text(json.dumps(IDS))

    assert find(IDS) == IDS
    assert find({"variable": "customers"}, variable=IDS) == IDS
    assert find({"file": str(lines)}) == IDS
    assert find({"file": str(array)}) == IDS
    assert find({"sql": "SELECT ...", "connection": "crm"}, rows=[(one,) for one in IDS]) == IDS


def test_one_that_is_given_twice_is_read_once() -> None:
    assert find([*IDS, IDS[0]]) == IDS


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "must be a list of integrations, or say where it is"),
        ({"sql": "SELECT ..."}, "must be a list of integrations, or say where it is"),
        ([], "`integration_ids` holds no integration: add the first one"),
        ({"sql": "SELECT ...", "connection": "crm"}, "The query in crm holds no integration"),
        ([IDS[0], "personio"], "no integration's id in place 2"),
        ([IDS[0], None], "no integration's id in place 2"),
        ({"variable": "customers"}, "The variable customers must hold a list"),
        ({"file": "/nowhere/ids"}, "/nowhere/ids cannot be read: No such file"),
    ],
)
def test_a_mistake_is_one_sentence(source: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find(source)

    assert sentence in str(caught.value)


def test_a_file_that_is_half_a_list_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text(f'["{IDS[0]}",')

    with pytest.raises(ConfigurationError, match="not valid JSON: mend it"):
        integrations_in(tmp_path / "ids")


@pytest.mark.parametrize(
    ("integrations", "size"), [(1, 20), (20, 20), (21, 20), (3001, 20), (7, 1)]
)
def test_shards_hold_each_integration_once_and_are_of_a_size(integrations: int, size: int) -> None:
    names = [f"personio:{number}" for number in range(integrations)]

    groups = shards(names, size)

    assert sorted(name for group in groups for name in group) == sorted(names)
    assert max(map(len, groups)) <= size
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


def test_there_are_no_more_shards_than_airflow_maps() -> None:
    groups = shards([f"personio:{number}" for number in range(30_000)], 20, at_most=1024)

    assert len(groups) == 1024
    assert {len(group) for group in groups} == {29, 30}


def test_a_size_of_none_is_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match="`shard_size` is 1 at least"):
        shards(IDS, 0)


def test_a_shard_is_named_by_what_it_holds_as_far_as_there_is_room() -> None:
    many = [f"smartrecruiters:{number:024}" for number in range(20)]

    assert label(IDS) == ", ".join(IDS)
    assert len(label(many)) <= LABEL_LENGTH
    assert label(many).startswith("smartrecruiters:00000, ")
    assert label(many).endswith(", ... 20 in all")
