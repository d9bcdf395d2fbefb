"""Lease the integrations of a shard, run the pipe for them, and store their states."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType

from tap_kombo_airflow.pipe import Pipe, RunningPipe
from tap_kombo_airflow.result import Problem
from tap_kombo_airflow.settings import ConfigurationError
from tap_kombo_airflow.store import (
    DatabaseError,
    Lease,
    LeaseLostError,
    State,
    Store,
    merge_states,
    split_state,
)
from tap_kombo_airflow.webhooks import Change, remove_changes

logger = logging.getLogger(__name__)


class StoppedError(Exception):
    """SIGTERM stopped the run, after the target had stored its records."""


@dataclass(frozen=True)
class Shard:
    """The work of one task.

    Attributes:
        store: The table of states.
        pipe: The tap and the target.
        name: The name of the run, which the table shows during the run.
    """

    store: Store
    pipe: Pipe
    name: str

    def run(self, integration_ids: Sequence[str], since: str | None = None) -> dict[str, Problem]:
        """Read the integrations, except those that another run is reading.

        Args:
            integration_ids: The integrations.
            since: A time on the database's clock. Integrations that have been read completely
                since then are omitted, so that a retry reads only the others.

        Returns:
            The problem of each integration that is not complete.

        Raises:
            DatabaseError: The table of states cannot be used.
            LeaseLostError: The lease expired, and another run has taken over an integration.
            StoppedError: SIGTERM stopped the run; the states until then are stored.
        """
        wanted = list(integration_ids)
        if since:
            wanted = list(self.store.problems_since(since, integration_ids))
            logger.info("%d of %d integrations remain.", len(wanted), len(integration_ids))
        if not wanted:
            return {}
        lease, problems = self._take(wanted)
        if lease.states:
            found = self._read(lease, self.pipe)
            lease.finish({name: problem.message for name, problem in found.items()})
            problems |= found
        return problems

    def run_changes(self, changes: Sequence[Change]) -> dict[str, Problem]:
        """Read changed models, except those of integrations that another run is reading.

        The changes of complete integrations are removed. The result is not stored, because only a
        run of all models decides whether an integration is complete.

        Args:
            changes: The changes to read; at least one.

        Returns:
            The problem of each integration that is not complete.

        Raises:
            The same errors as `run`.
        """
        models: dict[str, list[str]] = {}
        for change in changes:
            models.setdefault(change.integration_id, []).append(change.model)
        lease, problems = self._take(models)
        if lease.states:
            leased = {name: models[name] for name in lease.states}
            found = self._read(lease, replace(self.pipe, changed_models=leased))
            complete = lease.states.keys() - found.keys()
            remove_changes(self.store, [c for c in changes if c.integration_id in complete])
            lease.release()
            problems |= found
        return problems

    def _take(self, integration_ids: Iterable[str]) -> tuple[Lease, dict[str, Problem]]:
        """Lease integrations; also return the problem of those that another run holds."""
        holder = f"{self.name} on {socket.gethostname()}, process {os.getpid()}, {uuid.uuid4()}"
        lease = self.store.take(integration_ids, holder)
        return lease, {
            name: Problem(f"Another run is reading it: {other}.", is_transient=True)
            for name, other in lease.others.items()
        }

    def _read(self, lease: Lease, pipe: Pipe) -> dict[str, Problem]:
        """Run the pipe; if it raises an exception, release the lease."""
        try:
            return self._run_pipe(lease, pipe)
        except BaseException:
            with contextlib.suppress(Exception):
                # A lease that cannot be released expires.
                lease.release()
            raise

    def _run_pipe(self, lease: Lease, pipe: Pipe) -> dict[str, Problem]:
        names = list(lease.states)
        logger.info("Reading %d integrations: %s", len(names), ", ".join(names))
        # The guard kills the pipe before the lease expires and another run can start.
        timeout = 0.7 * self.store.lease_seconds
        state = merge_states(lease.states.values())
        with _stopping_on_sigterm(), pipe.running(names, state, timeout=timeout) as running:
            keeper = LeaseKeeper(lease, running)
            with keeper.renewing():
                result = running.run(keeper.save)
        if keeper.lost:
            raise keeper.lost
        return result.problems(names)


@dataclass
class LeaseKeeper:
    """Stores states and renews the lease while the pipe runs.

    Attributes:
        lease: The lease.
        pipe: The pipe, which is killed if the lease is lost.
        lost: The error in that case.
    """

    lease: Lease
    pipe: RunningPipe
    lost: LeaseLostError | None = None
    _saved: dict[str, State] = field(init=False)

    def __post_init__(self) -> None:
        self._saved = dict(self.lease.states)

    def save(self, state: State) -> None:
        """Store the states of the integrations whose state has changed."""
        changed = {
            name: own
            for name, own in split_state(state).items()
            if name in self._saved and own != self._saved[name]
        }
        if changed and not self.lost:
            with self._killing_if_lost():
                self.lease.save(changed)
                self._saved |= changed

    @contextlib.contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew the lease during the block, and send the guard a heartbeat each time."""
        stop = threading.Event()
        thread = threading.Thread(target=self._renew, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _renew(self, stop: threading.Event) -> None:
        pause = self.lease.store.lease_seconds / 5
        while not self.lost and not stop.wait(pause):
            started = time.monotonic()
            try:
                with self._killing_if_lost():
                    self.lease.renew()
                    # After a slow response, the lease may expire before the guard's timeout.
                    if time.monotonic() < started + pause:
                        self.pipe.group.heartbeat()
            except BrokenPipeError:
                # Without its guard, the pipe would outlive this process if it were killed.
                self.pipe.group.kill()
                return
            except (ConfigurationError, DatabaseError) as error:
                # If no retry succeeds, the guard times out and kills the pipe.
                logger.warning("The lease was not renewed: %s The run retries.", error)

    @contextlib.contextmanager
    def _killing_if_lost(self) -> Iterator[None]:
        try:
            yield
        except LeaseLostError as error:
            self.lost = error
            self.pipe.group.kill()


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
