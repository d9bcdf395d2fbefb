"""The tap with Airbyte's messages, and the check of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from source_kombo.messages import AirbyteMessages
from source_kombo.signals import end_by_signal
from tap_kombo.errors import KomboError
from tap_kombo.reader import ReadFailed
from tap_kombo.streams import KomboStream
from tap_kombo.tap import TapKombo

MAX_CHECKED = 100
MAX_REPORTED = 5
"""The number of integrations that a check requests, and of failed ones that it reports"""


class SourceKombo(TapKombo):
    """The tap, with Airbyte's messages instead of Singer's.

    Args:
        sync_ids: Stream -> Airbyte's ID of the sync.
    """

    def __init__(self, *, sync_ids: Mapping[str, int | None] | None = None, **kwargs: Any) -> None:
        self._sync_ids = sync_ids or {}
        super().__init__(**kwargs)

    def messages(
        self, streams: Sequence[KomboStream], reads: Mapping[str, Sequence[str]]
    ) -> AirbyteMessages:
        return AirbyteMessages(streams, reads, self._sync_ids)

    def check_connection(self) -> tuple[bool, str]:
        """Check the API key and the integrations.

        One readable integration is enough, because the platform syncs nothing after a failed check.

        Returns:
            Whether at least one integration can be read, and a sentence for each failed one.
        """
        asked = self.config["integration_ids"][:MAX_CHECKED]
        try:
            failed = [
                event
                for event in self.read_details(asked)
                if isinstance(event, ReadFailed) and not event.error.is_skip
            ]
        except KomboError as error:
            return False, str(error)
        sentences = [f"{event.integration_id}: {event.error}" for event in failed[:MAX_REPORTED]]
        if more := len(failed) - len(sentences):
            sentences.append(f"And {more} more integrations.")
        return len(failed) < len(asked), " ".join(sentences)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        if self._stop.is_set() or not self._is_syncing:
            end_by_signal(signum)
        super()._handle_termination(signum, frame)
