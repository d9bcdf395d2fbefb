"""What has begun goes on, a page of each in turn, and something new always begins.

Each iterator over the agenda stands for a thread: it does its last task until it asks for the next.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tap_kombo.agenda import MOST_BEGUN, Agenda, Task


@dataclass(frozen=True)
class Named:
    """A task that can be told apart."""

    name: str

    def __call__(self) -> None:
        raise AssertionError("the agenda does no task itself")

    def __repr__(self) -> str:
        return self.name


def named(*names: str) -> list[Task]:
    return [Named(name) for name in names]


def going_on_with(agenda: Agenda, *names: str) -> None:
    for task in named(*names):
        agenda.go_on(task)


def thread(agenda: Agenda) -> Iterator[str]:
    return map(repr, iter(agenda))


def test_what_is_new_is_begun_in_its_order_and_the_latest_first() -> None:
    agenda = Agenda(1)
    agenda.begin(named("visit 1", "visit 2"))
    one = thread(agenda)

    assert next(one) == "visit 1"
    agenda.begin(named("jobs of 1", "offers of 1"))

    assert list(itertools.islice(one, 3)) == ["jobs of 1", "offers of 1", "visit 2"]


def test_what_has_begun_goes_on_in_turn() -> None:
    agenda = Agenda(1)
    going_on_with(agenda, "jobs", "offers")
    one = thread(agenda)

    assert next(one) == "jobs"
    going_on_with(agenda, "jobs")

    assert list(itertools.islice(one, 2)) == ["offers", "jobs"]


def test_a_thread_alone_finishes_what_it_has_begun() -> None:
    agenda = Agenda(1)
    agenda.begin(named("new"))
    going_on_with(agenda, "begun", "begun too")

    assert list(itertools.islice(thread(agenda), 3)) == ["begun", "begun too", "new"]


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_one_thread_begins_something_new_while_the_others_go_on(threads: int) -> None:
    agenda = Agenda(threads)
    agenda.begin(named("new 1", "new 2"))
    going_on_with(agenda, *(f"begun {number}" for number in range(20)))
    *others, last = [thread(agenda) for _ in range(threads)]

    assert [next(one) for one in others] == [f"begun {number}" for number in range(threads - 1)]
    assert [next(last), next(last)] == ["new 1", "new 2"]
    assert next(last) == f"begun {threads - 1}"


def test_who_has_ended_a_task_leaves_the_place_to_another() -> None:
    agenda = Agenda(2)
    agenda.begin(named("new 1", "new 2"))
    going_on_with(agenda, "begun 1", "begun 2")
    one, other = thread(agenda), thread(agenda)

    assert [next(one), next(other)] == ["begun 1", "new 1"]
    assert [next(one), next(other)] == ["begun 2", "new 2"]


@pytest.mark.parametrize(
    ("waiting", "taken"),
    [(MOST_BEGUN - 1, "new"), (MOST_BEGUN, "begun 1"), (MOST_BEGUN + 1, "begun 1")],
)
def test_nothing_new_begins_while_very_much_has_begun(waiting: int, taken: str) -> None:
    agenda = Agenda(2)
    agenda.begin(named("new"))
    going_on_with(agenda, *(f"begun {number}" for number in range(waiting + 1)))
    one, other = thread(agenda), thread(agenda)

    assert next(one) == "begun 0"
    assert next(other) == taken


def test_threads_wait_for_tasks_and_end_when_it_is_closed() -> None:
    agenda = Agenda(3)
    done: queue.Queue[str] = queue.Queue()

    def work() -> None:
        for task in agenda:
            done.put(repr(task))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for one in threads:
        one.start()
    agenda.begin(named("new"))
    assert done.get(timeout=10) == "new"
    going_on_with(agenda, "begun")
    assert done.get(timeout=10) == "begun"

    agenda.close()

    for one in threads:
        one.join(timeout=10)
    assert not any(one.is_alive() for one in threads)
    agenda.begin(named("too late"))
    assert list(agenda) == []
