"""The shapes of Kombo's responses, and which models an integration supports.

Records stay JSON text here: their syntax is checked, their fields are not decoded. A field that
Kombo promises must be present: without `next` a page is not the last one, and without `results`
it is not an empty one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")

Fields = dict[str, msgspec.Raw]
"""The fields of an object: name -> JSON text."""

CATEGORIES = frozenset({"ats", "hris", "lms", "assessment"})
"""Kombo's categories of tools, as they start the names of its models: `ats_offers`."""

STREAM_NAMES = {"hris_teams": "hris_groups"}
"""Kombo's name of a model in integrations' details and webhooks -> the stream, if they differ"""


def stream_name(model: str) -> str:
    """Return the name of the stream that reads a model, by Kombo's name of the model."""
    return STREAM_NAMES.get(model, model)


def _check_objects(records: Iterable[msgspec.Raw]) -> None:
    if not all(memoryview(record)[0] == ord("{") for record in records):
        raise ValueError("a record is not an object")


# An escaped backslash before it does not start an escape.
NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:\\u[dD][89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a response body.

    Line breaks between tokens are replaced, because a record's text becomes part of one Singer
    line. Valid JSON that is not valid text becomes U+FFFD: NUL, which PostgreSQL does not accept,
    and lone surrogates, which UTF-8 cannot encode.

    Raises:
        msgspec.DecodeError: The body is not what the decoder expects.
    """
    if b"\n" in body or b"\r" in body:
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
    if b"\\u0000" in body:
        body = NUL.sub(rb"\1\\ufffd", body)
    try:
        # msgspec checks the syntax of raw JSON, but not its encoding.
        if not body.isascii():
            body.decode()
        return decoder.decode(body)
    except (RecursionError, UnicodeDecodeError):
        raise msgspec.DecodeError("nested too deeply, or not UTF-8") from None
    except msgspec.DecodeError:
        replaced = LONE_SURROGATE.sub(_replace_surrogate, body)
        if replaced == body:
            raise
        return decoder.decode(replaced)


def _replace_surrogate(match: re.Match[bytes]) -> bytes:
    return match[0] if match[2] else match[1] + rb"\ufffd"


class Envelope(msgspec.Struct, Generic[T]):
    """A successful response."""

    status: Literal["success"]
    data: T


class ErrorDetails(msgspec.Struct):
    code: str | None = None
    log_url: str | None = None


class ErrorEnvelope(msgspec.Struct):
    """An error response, whatever its HTTP status: https://docs.kombo.dev/guides/errors."""

    status: Literal["error"]
    error: ErrorDetails


class PageData(msgspec.Struct):
    """The `data` of a page; `next` is the cursor of the following page, null on the last one."""

    next: Annotated[str, msgspec.Meta(min_length=1)] | None
    results: list[msgspec.Raw]

    def __post_init__(self) -> None:
        _check_objects(self.results)


class PackageData(msgspec.Struct):
    """The `data` of `/assessment/packages`, which is not paged."""

    packages: list[msgspec.Raw]

    def __post_init__(self) -> None:
        _check_objects(self.packages)


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """Where an endpoint's response has its records.

    Attributes:
        decoder: Decodes the response.
        records: Returns the records in its `data`.
    """

    decoder: msgspec.json.Decoder[Envelope[Any]]
    records: Callable[[Any], list[msgspec.Raw]]


ROWS = msgspec.json.Decoder(list[Fields])
DETAILS = msgspec.json.Decoder(Envelope[Fields])
"""The details of an integration: `GET /integrations/{integration_id}`"""

PAGES = ResponseFormat(msgspec.json.Decoder(Envelope[PageData]), lambda data: data.results)
PACKAGES = ResponseFormat(msgspec.json.Decoder(Envelope[PackageData]), lambda data: data.packages)
ALL_DETAILS = ResponseFormat(DETAILS, lambda data: _encode([data]))
"""The details are one record."""
INTEGRATION = ResponseFormat(
    DETAILS, lambda data: _encode([{k: v for k, v in data.items() if k != "read_models"}])
)
"""The integration is one record, without its models."""


def read_models(details: Fields, streams: Container[str]) -> list[msgspec.Raw]:
    """Return the models in an integration's details, each with the stream that reads it.

    Args:
        details: The integration's details.
        streams: The names of all streams; models without one get null.
    """
    rows = ROWS.decode(details["read_models"])
    for row in rows:
        stream = stream_name(msgspec.json.decode(row["id"], type=str))
        row["stream"] = msgspec.Raw(msgspec.json.encode(stream if stream in streams else None))
    return _encode(rows)


def _encode(rows: Iterable[Fields]) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode(row)) for row in rows]


class ReadModel(msgspec.Struct):
    """A model in an integration's details."""

    id: str
    is_available: bool | None = None


READ_MODELS = msgspec.json.Decoder(list[ReadModel])


def is_model(stream: str) -> bool:
    """Return whether a stream is a model of a category, which not every integration has."""
    return stream.partition("_")[0] in CATEGORIES


def is_available(details: Fields, stream: str) -> bool | None:
    """Return whether an integration has the model of a stream, by its details.

    Args:
        details: The integration's details.
        stream: The stream's name. A stream that is not a model is always available.

    Returns:
        None if the details leave it open, so the model's endpoint has to be requested.
    """
    if not is_model(stream):
        return True
    category = stream.partition("_")[0]
    try:
        models = READ_MODELS.decode(details["read_models"])
        own_category = msgspec.json.decode(details["category"], type=str)
    except (KeyError, msgspec.DecodeError):
        return None
    for model in models:
        if stream_name(model.id) == stream:
            return model.is_available
    return False if own_category.lower() in CATEGORIES - {category} else None


def is_expired(details: Fields) -> bool:
    """Return whether an integration's data is not valid until Kombo has synced it again.

    Kombo sets `data_expired_at` when filters or the scope config have changed.
    """
    return msgspec.json.decode(details.get("data_expired_at", b"null")) is not None


def belong_to(details: Fields, integration_id: str) -> bool:
    """Return whether details are those of an integration, by their `id`."""
    return "id" not in details or msgspec.json.decode(details["id"]) == integration_id


class Tool(msgspec.Struct):
    label: str | None = None


class Description(msgspec.Struct):
    """The part of an integration's details that a person wants to read."""

    tool: Tool = msgspec.field(default_factory=Tool)
    category: str | None = None
    status: str | None = None
    setup_status: str | None = None


def describe(details: Fields) -> str:
    """Describe an integration in a line: "Personio, HRIS, ACTIVE, COMPLETED"."""
    try:
        found = msgspec.json.decode(msgspec.json.encode(details), type=Description)
    except msgspec.ValidationError:
        found = Description()
    words = (found.tool.label, found.category, found.status, found.setup_status)
    text = ", ".join(filter(None, words))
    return "".join(character if character.isprintable() else " " for character in text)
