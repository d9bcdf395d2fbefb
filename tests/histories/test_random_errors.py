"""Nothing is lost when Kombo fails too, and runs are stopped."""

from __future__ import annotations

from tests.histories.conftest import PATIENCE, Live
from tests.histories.history import TroubledHistory

pytestmark = PATIENCE


def test_nothing_is_lost_under_trouble(live: Live) -> None:
    live(TroubledHistory)
