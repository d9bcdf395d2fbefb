"""Nothing is lost, whatever changes while Kombo is read, and wherever a run is cut off."""

from __future__ import annotations

from tests.histories.conftest import PATIENCE, Live
from tests.histories.history import History

pytestmark = PATIENCE


def test_nothing_is_lost_under_change(live: Live) -> None:
    live(History)
