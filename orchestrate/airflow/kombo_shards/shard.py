"""A shard: takes its integrations, runs the pipe for them, and keeps what the target tells."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from kombo_shards.findings import Problem
from kombo_shards.pipe import Flow, Pipe
from kombo_shards.states import State, merge, split
from kombo_shards.store import Lease, LeaseLostError, Store

logger = logging.getLogger(__name__)


class StoppedError(Exception):
    """The run was told to end, and did so in order."""


@dataclass(frozen=True)
class Shard:
    """What one task does.

    Attributes:
        store: Where states are kept.
        pipe: What is run.
        name: Of the run, for people who ask who is reading an integration.
    """

    store: Store
    pipe: Pipe
    name: str

    def run(self, integration_ids: Sequence[str], since: str | None = None) -> dict[str, Problem]:
        """Read the integrations, all but those that another run has.

        Args:
            integration_ids: The integrations.
            since: What was read to its end since then, by the database's clock, is left out; so
                another try of the same run does what the first one left.

        Returns:
            Why integrations were not read to their end; nothing if all were.

        Raises:
            LeaseLostError: Another run has taken integrations over, as this one gave no sign of
                life for too long.
            StoppedError: SIGTERM came; what was stored until then is not lost.
        """
        done = self.store.complete_since(since, integration_ids) if since else set()
        wanted = [name for name in integration_ids if name not in done]
        if done:
            logger.info("%d of this shard are complete since this run began.", len(done))
        if not wanted:
            return {}
        lease = self.store.take(wanted, self._holder())
        problems = {
            name: Problem(f"It is being read by {other}: nothing was done here.", passes=True)
            for name, other in lease.others.items()
        }
        if not lease.states:
            return problems
        try:
            found = self._read(lease)
        except BaseException:
            with contextlib.suppress(Exception):
                # If it cannot be released, it expires.
                lease.release()
            raise
        lease.end({name: problem.why for name, problem in found.items()})
        return problems | dict(found)

    def _read(self, lease: Lease) -> Mapping[str, Problem]:
        names = list(lease.states)
        logger.info("Reading %d integrations: %s", len(names), ", ".join(names))
        # The guard kills before the lease ends, so that the next holder is alone.
        patience = 0.7 * self.store.lease_seconds
        with (
            _stopping_on_sigterm(),
            self.pipe.flowing(names, merge(lease.states.values()), patience=patience) as flow,
        ):
            keeper = Keeper(lease, flow)
            with keeper.renewing():
                ended = flow.run(keeper.keep)
        if keeper.lost:
            raise keeper.lost
        return ended.problems(names)

    def _holder(self) -> str:
        return (
            f"{self.name} on {socket.gethostname()}, process {os.getpid()}, {uuid.uuid4().hex[:8]}"
        )


@dataclass
class Keeper:
    """Keeps what the target tells, and the lease alive while it works.

    Attributes:
        lease: The integrations.
        flow: What is ended at once if another run has taken them over.
        lost: Set in that case.
    """

    lease: Lease
    flow: Flow
    lost: LeaseLostError | None = None
    _kept: dict[str, State] = field(init=False)

    def __post_init__(self) -> None:
        self._kept = dict(self.lease.states)

    def keep(self, state: State) -> None:
        """Store the states of the integrations that have moved."""
        told = split(state)
        moved = {
            name: told[name]
            for name, kept in self._kept.items()
            if name in told and told[name] != kept
        }
        if moved and self.lost is None:
            with self._ending_if_lost():
                self.lease.save(moved)
                self._kept |= moved

    @contextlib.contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew the lease during the block, and tell the guard each time."""
        over = threading.Event()
        thread = threading.Thread(target=self._renew, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _renew(self, over: threading.Event) -> None:
        pause = self.lease.store.lease_seconds / 5
        while not self.lost and not over.wait(pause):
            began = time.monotonic()
            try:
                with self._ending_if_lost():
                    self.lease.renew()
                    # An answer that took long says little of how long the lease still is.
                    if time.monotonic() < began + pause:
                        self.flow.group.beat()
            except BrokenPipeError:
                # Without a guard, nobody would end the pipe if this process were killed.
                self.flow.group.kill()
                return
            except Exception as error:  # noqa: BLE001  # any driver's; the guard counts the seconds
                logger.warning("The lease is not renewed (%s): trying again.", type(error).__name__)

    @contextlib.contextmanager
    def _ending_if_lost(self) -> Iterator[None]:
        try:
            yield
        except LeaseLostError as error:
            self.lost = error
            self.flow.group.kill()


@contextlib.contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception during the block, where that is possible."""

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
        raise StoppedError("Stopped by SIGTERM: what the target has stored is kept.")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
