"""A shard: lease its integrations, run the pipe for them, and store the states."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType

from kombo_shards.configuration import ConfigurationError
from kombo_shards.pipe import Flow, Pipe
from kombo_shards.result import Problem
from kombo_shards.states import State, merge, split
from kombo_shards.store import DatabaseError, Lease, LeaseLostError, Store

logger = logging.getLogger(__name__)


class StoppedError(Exception):
    """A signal stopped the run, after the target had stored its records."""


@dataclass(frozen=True)
class Shard:
    """The work of one task.

    Attributes:
        store: The table of states.
        pipe: The tap and the target.
        name: The name of the run, which the table shows while the run reads.
    """

    store: Store
    pipe: Pipe
    name: str

    def run(self, integration_ids: Sequence[str], since: str | None = None) -> dict[str, Problem]:
        """Read the integrations, except those that another run is reading.

        Args:
            integration_ids: The integrations.
            since: A time by the database's clock. Integrations that are complete since then are
                omitted, so that a retry reads only the others.

        Returns:
            The problem of each integration that is not complete.

        Raises:
            DatabaseError: The table of states cannot be used.
            LeaseLostError: The lease expired, and another run has taken over an integration.
            StoppedError: SIGTERM stopped the run; the states until then are stored.
        """
        done = self.store.complete_since(since, integration_ids) if since else set()
        wanted = [name for name in integration_ids if name not in done]
        if done:
            logger.info(
                "%d integrations are already complete in this run; they are omitted.", len(done)
            )
        if not wanted:
            return {}
        lease = self.store.take(wanted, self._holder())
        problems = {
            name: Problem(f"Another run is reading it: {other}.", is_transient=True)
            for name, other in lease.others.items()
        }
        if not lease.states:
            return problems
        try:
            found = self._read(lease)
        except BaseException:
            with contextlib.suppress(Exception):
                # A lease that cannot be released expires.
                lease.release()
            raise
        lease.end({name: problem.why for name, problem in found.items()})
        return problems | found

    def _read(self, lease: Lease) -> dict[str, Problem]:
        names = list(lease.states)
        logger.info("Reading %d integrations: %s", len(names), ", ".join(names))
        # The guard kills the pipe before the lease expires and another run can start.
        patience = 0.7 * self.store.lease_seconds
        with (
            _stopping_on_sigterm(),
            self.pipe.flowing(names, merge(lease.states.values()), patience=patience) as flow,
        ):
            keeper = LeaseKeeper(lease, flow)
            with keeper.renewing():
                result = flow.run(keeper.save)
        if keeper.lost:
            raise keeper.lost
        return result.problems(names)

    def _holder(self) -> str:
        return (
            f"{self.name} on {socket.gethostname()}, process {os.getpid()}, {uuid.uuid4().hex[:8]}"
        )


@dataclass
class LeaseKeeper:
    """Stores states and renews the lease while the pipe runs.

    Attributes:
        lease: The lease.
        flow: The pipe, which is killed if the lease is lost.
        lost: The error in that case.
    """

    lease: Lease
    flow: Flow
    lost: LeaseLostError | None = None
    _saved: dict[str, State] = field(init=False)

    def __post_init__(self) -> None:
        self._saved = dict(self.lease.states)

    def save(self, state: State) -> None:
        """Store the states of the integrations whose state has changed."""
        states = split(state)
        changed = {
            name: states[name]
            for name, saved in self._saved.items()
            if name in states and states[name] != saved
        }
        if changed and self.lost is None:
            with self._killing_if_lost():
                self.lease.save(changed)
                self._saved |= changed

    @contextlib.contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew the lease during the block, and send the guard a beat each time."""
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
                with self._killing_if_lost():
                    self.lease.renew()
                    # After a slow response, the rest of the lease may be shorter than the guard's
                    # patience.
                    if time.monotonic() < began + pause:
                        self.flow.group.beat()
            except BrokenPipeError:
                # Without its guard, the pipe would outlive this process if it were killed.
                self.flow.group.kill()
                return
            except (ConfigurationError, DatabaseError) as error:  # the guard counts the seconds
                logger.warning("The lease was not renewed: %s The run retries.", error)

    @contextlib.contextmanager
    def _killing_if_lost(self) -> Iterator[None]:
        try:
            yield
        except LeaseLostError as error:
            self.lost = error
            self.flow.group.kill()


@contextlib.contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """Raise an exception on SIGTERM during the block, if this is the main thread."""

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
        raise StoppedError("Stopped by SIGTERM. The next run resumes from the last states.")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
