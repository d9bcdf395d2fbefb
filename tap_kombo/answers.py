"""The shapes of Kombo's answers.

A record stays JSON text here: checked for syntax, not yet decoded. Where Kombo promises a field, it
must be there: an absent `next` is no end, and absent `results` are no empty page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")

Fields = dict[str, msgspec.Raw]
"""An object's fields: name -> JSON text."""


def _check_objects(records: Iterable[msgspec.Raw]) -> None:
    if not all(memoryview(record)[0] == ord("{") for record in records):
        raise ValueError("a record is no object")


class Envelope(msgspec.Struct, Generic[T]):
    """What Kombo puts around every answer."""

    status: Literal["success"]
    data: T


class ErrorDetails(msgspec.Struct):
    """Strings, as Kombo promises; whatever else one of them is, the other counts."""

    code: Any = None
    log_url: Any = None


class ErrorEnvelope(msgspec.Struct):
    """What Kombo answers instead, with whatever HTTP status."""

    status: Literal["error"]
    error: ErrorDetails


class Results(msgspec.Struct):
    """A page."""

    next: Annotated[str, msgspec.Meta(min_length=1)] | None
    results: list[msgspec.Raw]

    def __post_init__(self) -> None:
        _check_objects(self.results)


class Packages(msgspec.Struct):
    """What `/assessment/packages` answers, all at once."""

    packages: list[msgspec.Raw]

    def __post_init__(self) -> None:
        _check_objects(self.packages)


class ReadModel(msgspec.Struct):
    """What an integration's details say of a model; None for what they do not say."""

    id: str
    is_available: bool | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """How an endpoint lists its records.

    Attributes:
        decoder: Decodes the answer.
        records: Finds the records under the answer's `data`.
    """

    decoder: msgspec.json.Decoder[Envelope[Any]]
    records: Callable[[Any], list[msgspec.Raw]]


DETAILS = msgspec.json.Decoder(Envelope[Fields])
"""An integration's details, `GET /integrations/{id}`."""

READ_MODELS = msgspec.json.Decoder(list[ReadModel])
ROWS = msgspec.json.Decoder(list[Fields])

PAGES = Listing(msgspec.json.Decoder(Envelope[Results]), lambda data: data.results)
PACKAGES = Listing(msgspec.json.Decoder(Envelope[Packages]), lambda data: data.packages)
INTEGRATION = Listing(
    DETAILS, lambda data: _records([{k: v for k, v in data.items() if k != "read_models"}])
)
"""The integration itself; its models are rows of their own."""
INTEGRATION_MODELS = Listing(DETAILS, lambda data: _records(ROWS.decode(data["read_models"])))


def _records(rows: Iterable[Fields]) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode(row)) for row in rows]


def can_give(details: Fields, model: str) -> bool | None:
    """Tell whether an integration has a model, by what Kombo says of it beforehand.

    Args:
        details: The integration's details.
        model: Kombo's name of the model; a stream that is no model is always to be had.

    Returns:
        None where Kombo does not say: then it has to be asked.
    """
    family, is_model, _ = model.partition("_")
    if not is_model or family not in FAMILIES:
        return True
    try:
        read_models = READ_MODELS.decode(details["read_models"])
        category = msgspec.json.decode(details["category"], type=str)
    except (KeyError, msgspec.DecodeError):
        return None
    for read_model in read_models:
        if read_model.id == model:
            return read_model.is_available
    return False if category.lower() in FAMILIES - {family} else None


FAMILIES = frozenset({"ats", "hris", "lms", "assessment"})
"""How the names of Kombo's models begin: with the category of the tools that have them."""
