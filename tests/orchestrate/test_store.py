"""The table of states and leases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kombo_shards.store import LeaseLostError, Store

A, B = "personio:a", "personio:b"


def state(value: str) -> dict[str, object]:
    return {"bookmarks": {"ats_jobs": {"partitions": [{"replication_key_value": value}]}}}


def test_the_next_run_gets_the_last_state(store: Store) -> None:
    first = store.take([A, B], "first")
    first.save({A: state("1")})
    first.save({A: state("2")})
    first.end({})

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

    taken = [name for lease in leases for name in lease.states]
    assert sorted(taken) == sorted(wanted)


def test_an_integration_can_be_leased_again_when_a_run_ends_or_releases_it(store: Store) -> None:
    store.take([A], "first").end({})
    store.take([A], "second").release()

    assert store.take([A], "third").states == {A: {}}


def test_a_run_that_does_not_renew_its_lease_loses_it_and_cannot_write(
    store: Store,
) -> None:
    dead = store.take([A, B], "dead")
    dead.save({A: state("1")})
    time.sleep(1.1)
    living = store.take([A], "living")
    living.save({A: state("2")})

    assert living.states == {A: state("1")}
    with pytest.raises(LeaseLostError, match="Another run has taken over integrations"):
        dead.save({A: state("3")})
    with pytest.raises(LeaseLostError, match="Another run has taken over integrations"):
        dead.renew()
    dead.end({A: "It is dead."})
    dead.release()
    assert store.take([A], "third").others == {A: "living"}
    assert store.complete_since("2000-01-01", [A]) == set()


def test_a_run_that_renews_its_lease_keeps_it(store: Store) -> None:
    lease = store.take([A], "first")
    for _ in range(3):
        time.sleep(0.5)
        lease.renew()

    assert store.take([A], "second").others == {A: "first"}


def test_results_of_earlier_runs_do_not_count(store: Store) -> None:
    store.take([A, B], "yesterday").end({})
    began = store.prepare()
    assert store.complete_since(began, [A, B]) == set()

    store.take([A, B], "today").end({B: "The customer has to reconnect it."})

    assert store.complete_since(began, [A, B]) == {A}
    found = store.problems_since(began, [A, B, "personio:c"])
    assert found[B] == "The customer has to reconnect it."
    assert "not read to the end" in found["personio:c"]
    assert set(found) == {B, "personio:c"}
