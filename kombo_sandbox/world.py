"""All that the server and those who drive it share: what Kombo holds, its clock, its moods."""

import math
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kombo_sandbox.clock import Clock, moment
from kombo_sandbox.cursors import Cursors
from kombo_sandbox.faults import Faults
from kombo_sandbox.seed import Seeder
from kombo_sandbox.store import Store

_LOGGED_REQUESTS = 100_000


class Budget:
    """``limit`` requests in each window of so many seconds."""

    def __init__(self, limit: int, window: float) -> None:
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


@dataclass
class World:
    """Attributes:
    latency: seconds that each request takes at least.
    strict: ``updated_after`` means later than, instead of at that moment or later.
    log: the requests seen under ``/v1``, oldest first.
    """

    store: Store
    clock: Clock
    seeder: Seeder
    cursors: Cursors
    budget: Budget
    api_key: str
    latency: float
    strict: bool
    faults: Faults = field(default_factory=Faults)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LOGGED_REQUESTS))


def open_store(
    path: Path, *, seed: int, sizes: Sequence[tuple[str, int]], starts: str | None
) -> tuple[Store, Clock, Seeder]:
    """The data in the file, made now if the file is new.

    Args:
        path: of the file.
        seed: other seed, other people.
        sizes: the category of each integration, and how many offers, employees, learners or
            orders it has.
        starts: what the clock says at the start (None: the machine's time).
    """
    store = Store(path)
    clock = Clock()
    if store.setting("seed") is None:
        if starts is not None:
            clock.offset = (moment(starts) - clock.now()) / 1000
        store.keep("seed", seed)
        store.keep("cursor_key", secrets.token_hex())
        seeder = Seeder(store, clock)
        seeder.add_integrations(sizes)
        # Written last: a file without it was left half full.
        store.keep("clock_offset", clock.offset)
        return store, clock, seeder
    offset = store.setting("clock_offset")
    if offset is None:
        raise ValueError(f"{path} was never filled to its end: remove it")
    clock.offset = float(offset)
    return store, clock, Seeder(store, clock)
