"""The setting `filters`: Kombo's own query parameters, checked before anything is asked.

Which parameters an endpoint takes stands in `filters.json`, written by
`scripts/update_schemas.py`: {stream: {parameter: "list" | "string" | "date-time"}}.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from tap_kombo.settings import guess

THE_TAPS = frozenset(
    {"cursor", "page_size", "updated_after", "include_deleted", "ignore_unsupported_filters"}
)
"""Parameters that the tap sends itself."""


@cache
def known_filters() -> dict[str, dict[str, str]]:
    text = (resources.files("tap_kombo") / "filters.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, str]])


def problems(filters: object, streams: Iterable[str]) -> Iterator[str]:
    """Say what is wrong with the setting: a sentence each, never with a value.

    Args:
        filters: The setting as it is.
        streams: The names of the tap's streams.
    """
    if not isinstance(filters, dict) or not all(isinstance(v, dict) for v in filters.values()):
        yield (
            "The setting `filters` must be an object: stream name to an object of query "
            'parameters, like {"ats_applications": {"outcomes": ["HIRED"]}}.'
        )
        return
    for stream, parameters in filters.items():
        if stream not in streams:
            yield (
                f"The setting `filters` names a stream {stream!r}, which does not exist"
                f"{guess(stream, streams)}."
            )
            continue
        known = known_filters().get(stream, {})
        for name, value in parameters.items():
            yield from _problem(f"`{name}` of {stream}", name, value, known)


def _problem(what: str, name: str, value: object, known: Mapping[str, str]) -> Iterator[str]:
    if name in THE_TAPS:
        yield f"The setting `filters` has {what}, which the tap sends itself: leave it out."
    elif name not in known:
        exist = f"there are {', '.join(known)}" if known else "it has none"
        yield f"The setting `filters` has {what}, which is no filter of its: {exist}."
    elif isinstance(value, list) and known[name] != "list":
        yield f"The setting `filters` has a list for {what}, which takes one value."
    elif not _texts(value):
        yield (
            f"The setting `filters` has a value for {what} that cannot be sent: it must be a "
            "text, a number, true or false, or a list of them, without commas in a list."
        )


def _texts(value: object) -> list[str] | None:
    """Write a value as Kombo reads it: a text for each entry; None if that cannot be."""
    entries = value if isinstance(value, list) else [value]
    if not entries or not all(isinstance(e, str | int | float | bool) for e in entries):
        return None
    texts = [str(e).lower() if isinstance(e, bool) else str(e) for e in entries]
    if not all(texts) or (isinstance(value, list) and any("," in text for text in texts)):
        return None
    return texts


def parameters(filters: Mapping[str, Any], stream: str) -> dict[str, str]:
    """Build the query parameters of a stream's filters; lists are joined by commas."""
    return {name: ",".join(_texts(value) or ()) for name, value in filters.get(stream, {}).items()}


def fingerprint(asked_for: Mapping[str, str]) -> str | None:
    """Tell what is asked for from anything else, without telling what it is.

    Args:
        asked_for: The parameters that leave records out; none if all are asked for.

    Returns:
        None if all are asked for. A state holds it beside each bookmark: filters may be people's
        addresses, and a bookmark is worth nothing for other records than it was made with.
    """
    if not asked_for:
        return None
    return hashlib.sha256(msgspec.json.encode(dict(sorted(asked_for.items())))).hexdigest()[:16]
