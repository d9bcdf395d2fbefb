"""`tap-kombo --test`: what each integration can give, without reading any of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
from singer_sdk.streams.rest import HTTPRequest

from tap_kombo.answers import DETAILS, Fields, can_give
from tap_kombo.client import KomboClient
from tap_kombo.errors import KomboError


class Tool(msgspec.Struct):
    label: str | None = None


class About(msgspec.Struct):
    """What a person wants to know of an integration; None for what Kombo does not say."""

    tool: Tool = msgspec.field(default_factory=Tool)
    category: str | None = None
    status: str | None = None
    setup_status: str | None = None


def inspect(
    client: KomboClient,
    requests: Mapping[str, HTTPRequest],
    streams: Sequence[str],
    *,
    concurrency: int,
) -> Iterator[str | KomboError]:
    """Ask for the details of all integrations, and tell of each in one line.

    Args:
        client: Asks Kombo.
        requests: Integration -> the request for its details.
        streams: The names of the streams that are to be read.
        concurrency: How many requests may be in flight.

    Yields:
        In the order of the integrations, a line or what went wrong.
    """

    def ask(integration_id: str) -> str | KomboError:
        try:
            details = client.get(requests[integration_id], DETAILS).data
        except KomboError as error:
            return error
        return _line(integration_id, details, streams)

    with ThreadPoolExecutor(concurrency) as pool:
        yield from pool.map(ask, requests)


def _line(integration_id: str, details: Fields, streams: Sequence[str]) -> str:
    try:
        about = msgspec.json.decode(msgspec.json.encode(details), type=About)
    except msgspec.ValidationError:
        about = About()
    there = [stream for stream in streams if can_give(details, stream) is not False]
    words = [about.tool.label, about.category, about.status, about.setup_status]
    return (
        f"{integration_id}: {', '.join(word for word in words if word)}; "
        f"{len(there)} of {len(streams)} streams: {', '.join(there) or 'none'}"
    )
