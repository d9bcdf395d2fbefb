"""Random changes of records, together with errors of Kombo and syncs that are stopped."""

from __future__ import annotations

from tests.histories.conftest import TIMEOUT, RunHistories
from tests.histories.history import HistoryWithErrors

pytestmark = TIMEOUT


def test_random_changes_and_errors_lose_no_record(run_histories: RunHistories) -> None:
    run_histories(HistoryWithErrors)
