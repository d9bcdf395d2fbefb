"""Convert Airbyte's states of streams to the tap's state."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from source_kombo.catalog import ConfiguredCatalog
from tap_kombo.errors import InputError


class StreamDescriptor(msgspec.Struct):
    """The name of a stream."""

    name: str


class Bookmarks(msgspec.Struct):
    """The state that the source has emitted for a stream: see `AirbyteMessages`."""

    partitions: list[dict[str, Any]]
    sync_id: int | None = None


class StreamState(msgspec.Struct):
    """The state of a stream; null after a reset."""

    stream_descriptor: StreamDescriptor
    stream_state: Bookmarks | None = None


class StateMessage(msgspec.Struct):
    """An element of the state file."""

    type: Literal["STREAM"]
    stream: StreamState


def singer_state(content: Any, configured: ConfiguredCatalog) -> dict[str, Any] | None:
    """Convert the content of a state file.

    A full refresh starts without a state, unless an earlier attempt of the same sync emitted it.

    Raises:
        InputError: The content is not a state of this source.
    """
    if not content:
        return None
    try:
        messages = msgspec.convert(content, list[StateMessage])
    except msgspec.ValidationError as error:
        raise InputError(
            f"State: the file is not a state of source-kombo ({error}). Reset the state of the "
            "connection."
        ) from None
    states = {message.stream.stream_descriptor.name: message.stream for message in messages}
    full_refreshes = {
        configuration.stream.name: configuration.sync_id
        for configuration in configured.streams
        if configuration.sync_mode == "full_refresh"
    }
    bookmarks = {}
    for name, state in states.items():
        bookmark = state.stream_state
        if bookmark is None:
            continue
        sync_id = full_refreshes.get(name)
        if name not in full_refreshes or (sync_id is not None and bookmark.sync_id == sync_id):
            bookmarks[name] = {"partitions": bookmark.partitions}
    return {"bookmarks": bookmarks}
