"""All that the server and those who drive it share: what Kombo holds, its clock, its moods."""

import math
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kombo_sandbox.arguments import check_range
from kombo_sandbox.clock import Clock, moment
from kombo_sandbox.cursors import Cursors
from kombo_sandbox.faults import Faults
from kombo_sandbox.orders import OLDEST_FIRST, Order
from kombo_sandbox.schedule import Schedule
from kombo_sandbox.seed import Seeder
from kombo_sandbox.store import Store

_LOGGED_REQUESTS = 100_000
_MOST_REQUESTS = 1_000_000_000
_LONGEST_WINDOW = 31_536_000  # a year


class Budget:
    """``limit`` requests in each window of so many seconds."""

    def __init__(self, limit: int, window: float) -> None:
        check_range("the rate limit", limit, 0, _MOST_REQUESTS)
        check_range("the window of the rate limit", window, 0.001, _LONGEST_WINDOW)
        self.limit = limit
        self.remaining = limit
        self._window = window
        self._ends = time.monotonic() + window

    @property
    def reset(self) -> int:
        """Whole seconds until the window ends."""
        return max(math.ceil(self._ends - time.monotonic()), 0)

    def spend(self) -> bool:
        """Count a request; False if there is nothing left for it."""
        if time.monotonic() >= self._ends:
            self.remaining = self.limit
            self._ends = time.monotonic() + self._window
        if self.remaining == 0:
            return False
        self.remaining -= 1
        return True


@dataclass(frozen=True)
class Behaviour:
    """What Kombo does not promise, so that its clients have to be right for all of it.

    Attributes:
        strict: ``updated_after`` means later than, instead of at that moment or later.
        order: of the records in lists.
        sparse: pages are cut before it is looked which records fit, so that they can be short,
            or empty, in the middle of a list.
    """

    strict: bool = False
    order: Order = OLDEST_FIRST
    sparse: bool = False


@dataclass(frozen=True)
class Beginning:
    """How a new sandbox begins, and what ``reset`` brings back.

    Attributes:
        sizes: the category of each integration, and how many offers, employees, learners or
            orders it has.
        clock: what the clock says at the start (None: the machine's time).
        rate_limit: so many requests in each window.
        rate_window: seconds of a window.
        behaviour: as in ``World``.
    """

    sizes: Sequence[tuple[str, int]]
    clock: str | None
    rate_limit: int
    rate_window: float
    behaviour: Behaviour

    def fill(self, store: Store, clock: Clock, seeder: Seeder) -> None:
        """Fill an empty store."""
        clock.offset = 0.0
        if self.clock is not None:
            clock.move((moment(self.clock) - clock.now()) / 1000)
        seeder.add_integrations(self.sizes)
        # Written last: a file without it was left half full.
        store.keep("clock_offset", clock.offset)


@dataclass
class World:
    """Attributes:
    latency: seconds that each request takes at least.
    log: the requests seen under ``/v1``, oldest first.
    """

    store: Store
    clock: Clock
    seeder: Seeder
    cursors: Cursors
    beginning: Beginning
    api_key: str
    latency: float
    faults: Faults = field(default_factory=Faults)
    schedule: Schedule = field(default_factory=Schedule)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LOGGED_REQUESTS))
    behaviour: Behaviour = field(init=False)
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self._calm_down()

    def reset(self) -> None:
        """Make everything as it was at the start, ids and chance included."""
        for integration in list(self.store.integrations.values()):
            self.store.remove_integration(integration)
        self.store.keep("operations", 0)
        self.beginning.fill(self.store, self.clock, self.seeder)
        self.faults.clear()
        self.schedule.clear()
        self.log.clear()
        self._calm_down()

    def _calm_down(self) -> None:
        self.behaviour = self.beginning.behaviour
        self.budget = Budget(self.beginning.rate_limit, self.beginning.rate_window)


def open_store(path: Path, *, seed: int, beginning: Beginning) -> tuple[Store, Clock, Seeder]:
    """The data in the file, made now if the file is new.

    Args:
        path: of the file.
        seed: other seed, other people.
        beginning: what a new file is filled with.
    """
    store = Store(path)
    clock = Clock()
    if store.setting("seed") is None:
        store.keep("seed", seed)
        store.keep("cursor_key", secrets.token_hex())
        seeder = Seeder(store, clock)
        beginning.fill(store, clock, seeder)
        return store, clock, seeder
    offset = store.setting("clock_offset")
    if offset is None:
        raise ValueError(f"{path} was never filled to its end: remove it")
    clock.offset = float(offset)
    return store, clock, Seeder(store, clock)
