"""What the reading threads do next.

A read that has begun has one page after the other to come, each only after the one before, so it
is worth going on with; but a connection with many long reads must not hold up all the others. So
one thread always begins something new, as long as there is something and not too much has begun,
and all the others go on with what has begun, a page of each in turn.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

Task = Callable[[], None]

MOST_BEGUN = 64
"""Reads that are under way at a time: more than one connection has."""


class Agenda:
    """Hands out tasks to threads; iterating over it takes them.

    Args:
        threads: How many there are.
    """

    def __init__(self, threads: int) -> None:
        # Last in, first out: the reads of an integration that was just visited come before the
        # next visit, so the first pages of one do not wait for the details of thousands.
        self._new: list[Task] = []
        self._begun: deque[Task] = deque()
        self._most_going_on = max(1, threads - 1)
        self._going_on = 0
        self._is_closed = False
        self._change = threading.Condition()

    def begin(self, tasks: Sequence[Task]) -> None:
        """Have tasks begun before all others that have not begun, in this order."""
        with self._change:
            self._new.extend(reversed(tasks))
            self._change.notify_all()

    def go_on(self, task: Task) -> None:
        """Have something that has begun gone on with, in its turn."""
        with self._change:
            self._begun.append(task)
            self._change.notify_all()

    def close(self) -> None:
        """End all iterations, also those that wait."""
        with self._change:
            self._is_closed = True
            self._change.notify_all()

    def __iter__(self) -> Iterator[Task]:
        """Take tasks, waiting for them, until the agenda is closed."""
        while True:
            with self._change:
                while not (self._is_closed or self._new or self._begun):
                    self._change.wait()
                if self._is_closed:
                    return
                is_begun = self._is_to_go_on()
                task = self._begun.popleft() if is_begun else self._new.pop()
                self._going_on += is_begun
            try:
                yield task
            finally:
                with self._change:
                    self._going_on -= is_begun

    def _is_to_go_on(self) -> bool:
        if not self._new or not self._begun:
            return bool(self._begun)
        return self._going_on < self._most_going_on or len(self._begun) >= MOST_BEGUN
