"""The state of a running sandbox, which the endpoints and the control API share."""

import math
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kombo_sandbox.clock import Clock, parse_time
from kombo_sandbox.cursors import Cursors
from kombo_sandbox.faults import Faults
from kombo_sandbox.orders import OLDEST_FIRST, Order
from kombo_sandbox.schedule import Schedule
from kombo_sandbox.seeding import Seeder
from kombo_sandbox.store import Store
from kombo_sandbox.webhooks import Webhooks

_LOGGED_REQUESTS = 100_000
_MAX_REQUESTS = 1_000_000_000
_MIN_WINDOW = 0.001
_MAX_WINDOW = 31_536_000  # a year


class RateLimit:
    """A limit of requests in each window of seconds."""

    def __init__(self, limit: int, window: float) -> None:
        if not 0 <= limit <= _MAX_REQUESTS:
            raise ValueError(f"the rate limit must be between 0 and {_MAX_REQUESTS:,}")
        if not _MIN_WINDOW <= window <= _MAX_WINDOW:
            raise ValueError(f"the rate window must be between {_MIN_WINDOW} and {_MAX_WINDOW:,}")
        self.limit = limit
        self.remaining = limit
        self._window = window
        self._ends = time.monotonic() + window

    @property
    def reset(self) -> int:
        """Seconds until the window ends, rounded up."""
        return max(math.ceil(self._ends - time.monotonic()), 0)

    def spend(self) -> bool:
        """Count a request; returns False if the limit is exceeded."""
        if time.monotonic() >= self._ends:
            self.remaining = self.limit
            self._ends = time.monotonic() + self._window
        if self.remaining == 0:
            return False
        self.remaining -= 1
        return True


@dataclass
class ListOptions:
    """Behavior of lists that Kombo does not document; see `Handle.set_listing`."""

    strict: bool = False
    order: Order = OLDEST_FIRST
    sparse: bool = False


@dataclass(frozen=True)
class Setup:
    """The initial state, which `reset` restores.

    Attributes:
        sizes: The category of each integration, and its number of offers, employees, learners or
            orders.
        clock: The time of the clock; None for the machine's time.
        rate_limit: Requests per window.
        rate_window: Seconds of a window.
        strict: As in `ListOptions`.
    """

    sizes: Sequence[tuple[str, int]]
    clock: str | None
    rate_limit: int
    rate_window: float
    strict: bool


@dataclass
class State:
    """The state of a running sandbox.

    Attributes:
        latency: Minimum seconds per request.
        log: The requests received under `/v1`, oldest first.
    """

    store: Store
    clock: Clock
    seeder: Seeder
    cursors: Cursors
    setup: Setup
    api_key: str
    latency: float
    faults: Faults = field(default_factory=Faults)
    schedule: Schedule = field(default_factory=Schedule)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LOGGED_REQUESTS))
    listing: ListOptions = field(init=False)
    rate_limit: RateLimit = field(init=False)
    webhooks: Webhooks = field(init=False)

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.store, self.clock)
        self._reset_options()

    def reset(self) -> None:
        """Restore the initial state, including ids and random choices."""
        for integration in list(self.store.integrations.values()):
            self.store.remove_integration(integration)
        self.store.save_setting("operations", 0)
        _fill(self.store, self.clock, self.seeder, self.setup)
        self.faults.clear()
        self.schedule.clear()
        self.log.clear()
        self._reset_options()

    def _reset_options(self) -> None:
        self.listing = ListOptions(strict=self.setup.strict)
        self.rate_limit = RateLimit(self.setup.rate_limit, self.setup.rate_window)


def open_state(
    path: Path, *, seed: int, setup: Setup, cursor_lifetime: float, api_key: str, latency: float
) -> State:
    """Open a data file, and fill it if it is new."""
    store = Store(path)
    clock = Clock()
    if store.setting("seed") is None:
        store.save_setting("seed", seed)
        store.save_setting("cursor_key", secrets.token_hex())
        seeder = Seeder(store, clock)
        _fill(store, clock, seeder, setup)
    else:
        seeder = Seeder(store, clock)
    offset = store.setting("clock_offset")
    if offset is None:
        raise ValueError(f"{path} is incomplete: delete it")
    clock.offset = float(offset)
    return State(
        store=store,
        clock=clock,
        seeder=seeder,
        cursors=Cursors(store.setting("cursor_key"), cursor_lifetime),
        setup=setup,
        api_key=api_key,
        latency=latency,
    )


def _fill(store: Store, clock: Clock, seeder: Seeder, setup: Setup) -> None:
    clock.offset = 0.0
    now = clock.now() if setup.clock is None else parse_time(setup.clock)
    clock.move((now - clock.now()) / 1000)
    # Not the current time, because a reset must restore the same records.
    seeder.add_integrations(setup.sizes, now=now)
    # Written last: without this setting, a file is incomplete.
    store.save_setting("clock_offset", clock.offset)
