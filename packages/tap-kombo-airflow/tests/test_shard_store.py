"""The table of states and leases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tap_kombo_airflow.settings import ConfigurationError
from tap_kombo_airflow.store import LeaseLostError, Store, merge_states, split_state

A, B = "personio:a", "personio:b"
LONG_AGO = "2000-01-01"


def state(value: str) -> dict[str, Any]:
    return {"bookmarks": {"ats_jobs": {"partitions": [{"replication_key_value": value}]}}}


def test_the_next_run_gets_the_last_state(store: Store) -> None:
    first = store.take([A, B], "first")
    first.save({A: state("1")})
    first.save({A: state("2")})
    first.finish({})

    assert first.states == {A: {}, B: {}}
    assert store.take([A, B], "second").states == {A: state("2"), B: {}}


def test_an_integration_is_leased_to_one_run_at_a_time(store: Store) -> None:
    store.take([A], "first")

    second = store.take([A, B], "second")

    assert second.states == {B: {}}
    assert second.others == {A: "first"}


def test_if_many_runs_start_at_once_each_integration_is_leased_to_one(store: Store) -> None:
    wanted = [f"personio:{number}" for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda n: store.take(wanted[n:] + wanted[:n], f"run {n}"), range(8)))

    assert sorted(name for lease in leases for name in lease.states) == sorted(wanted)


def test_an_integration_can_be_leased_again_after_a_run_finishes_or_releases_it(
    store: Store,
) -> None:
    store.take([A], "first").finish({})
    store.take([A], "second").release()

    assert store.take([A], "third").states == {A: {}}


def test_a_run_that_does_not_renew_its_lease_loses_it_and_cannot_write(store: Store) -> None:
    dead = store.take([A, B], "dead")
    dead.save({A: state("1")})
    store.execute("UPDATE {table} SET held_until = now()")
    living = store.take([A], "living")
    living.save({A: state("2")})

    assert living.states == {A: state("1")}
    with pytest.raises(LeaseLostError, match="Another run has taken over integrations"):
        dead.save({A: state("3")})
    with pytest.raises(LeaseLostError, match="Another run has taken over integrations"):
        dead.renew()
    dead.finish({A: "It is dead."})
    dead.release()
    assert store.take([A], "third").others == {A: "living"}
    assert store.problems_since(LONG_AGO, [A]).keys() == {A}


def test_a_run_that_renews_its_lease_keeps_it(store: Store) -> None:
    lease = store.take([A], "first")
    store.execute("UPDATE {table} SET held_until = now()")

    lease.renew()

    assert store.take([A], "second").others == {A: "first"}


def test_results_of_earlier_runs_do_not_count(store: Store) -> None:
    store.take([A, B], "yesterday").finish({})
    started = store.prepare()
    store.take([A, B], "today").finish({B: "The customer has to reconnect it."})

    problems = store.problems_since(started, [A, B, "personio:c"])

    assert problems.keys() == {B, "personio:c"}
    assert problems[B] == "The customer has to reconnect it."
    assert "The read did not finish" in problems["personio:c"]


@pytest.mark.parametrize("schema", ['a"b', "Jürgen's", "with space", "{table}"])
def test_the_schema_may_have_special_characters(store: Store, schema: str) -> None:
    special = replace(store, schema=schema)
    special.prepare()

    special.take([A], "first").finish({})

    assert special.problems_since(LONG_AGO, [A]) == {}


def test_a_schema_with_a_percent_sign_is_rejected(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="its name contains `%`"):
        replace(store, schema="100%s")


def test_the_columns_that_an_older_table_lacks_are_added(store: Store) -> None:
    older = replace(store, schema=f"{store.schema}_older")
    older.execute("CREATE SCHEMA {schema}")
    older.execute(
        "CREATE TABLE {table} (integration_id text PRIMARY KEY, state jsonb, holder text)"
    )
    older.execute("INSERT INTO {table} VALUES (%s, %s)", [A, '{"bookmarks": {}}'])

    older.prepare()
    lease = older.take([A], "first")
    lease.finish({})

    assert lease.states == {A: {"bookmarks": {}}}
    assert older.problems_since(LONG_AGO, [A]) == {}


def test_a_user_of_an_existing_schema_needs_no_permission_on_the_database(store: Store) -> None:
    limited = replace(store, database={**store.database, "user": f"user_of_{store.schema}"})
    store.execute("DROP TABLE {table}")
    store.execute("CREATE ROLE user_of_" + store.schema + " LOGIN")
    store.execute("GRANT USAGE, CREATE ON SCHEMA {schema} TO user_of_" + store.schema)

    limited.prepare()

    assert limited.take([A], "first").states == {A: {}}


def partition(integration_id: str, **more: Any) -> dict[str, Any]:
    return {"context": {"integration_id": integration_id}, **more}


RUN = {
    "bookmarks": {
        "ats_offers": {
            "partitions": [
                partition("personio:1", replication_key_value="2026-01-31T02:00:00.000Z"),
                partition("lever:2", resume={"cursor": "c", "started": "s", "since": None}),
            ]
        },
        "ats_jobs": {"partitions": [partition("lever:2", replication_key_value="2026")]},
        "hris_skills": {},
    }
}


def test_a_state_is_split_by_integration_and_merged_for_any_shard() -> None:
    states = split_state(RUN)

    assert set(states) == {"personio:1", "lever:2"}
    assert set(states["lever:2"]["bookmarks"]) == {"ats_offers", "ats_jobs"}
    assert set(states["personio:1"]["bookmarks"]) == {"ats_offers"}
    assert split_state(merge_states(states.values())) == states
    assert split_state(merge_states([states["lever:2"]])) == {"lever:2": states["lever:2"]}


def test_an_integration_that_was_never_read_has_no_state() -> None:
    assert merge_states([{}, {}]) == {"bookmarks": {}}
    assert split_state({"bookmarks": {}}) == {}
    assert split_state({}) == {}
