"""Random changes and errors, read by `source-kombo` into a destination of Airbyte."""

from __future__ import annotations

from tests.histories.airbyte_history import AirbyteHistory
from tests.histories.conftest import TIMEOUT, RunHistories

pytestmark = TIMEOUT


def test_random_changes_and_errors_lose_no_record(run_histories: RunHistories) -> None:
    run_histories(AirbyteHistory)
