"""Random changes of records during and between syncs, of which some are killed."""

from __future__ import annotations

from tests.histories.conftest import TIMEOUT, RunHistories
from tests.histories.history import History

pytestmark = TIMEOUT


def test_random_changes_lose_no_record(run_histories: RunHistories) -> None:
    run_histories(History)
