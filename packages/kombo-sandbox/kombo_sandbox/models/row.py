"""What a row of the table of models says.

A record is its own properties; what Kombo nests in it is looked up along links when it is served.
``counts``, ``added`` and ``linked`` are the columns of the tables in the ``updated_after``
descriptions of Kombo's OpenAPI document (May 2026): they say which changes of nested data bring a
record back although its own ``changed_at`` stays. For what the document does not have yet they
follow the official client.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kombo_sandbox.filters import IDS, REMOTE_IDS, Filter

CATEGORIES = ("ATS", "HRIS", "LMS", "ASSESSMENT")
"""The kinds of tools that Kombo connects."""


@dataclass(frozen=True)
class One:
    """The record that ``link`` leads to, nested as ``name`` with the properties in ``shape``."""

    name: str
    link: str
    shape: "Shape"
    counts: bool = False


@dataclass(frozen=True)
class Many:
    """The records of ``model`` that lead here by their ``link``, nested as the list ``name``.

    With ``through`` those records are memberships: shown is the record behind that link of theirs,
    followed by the membership's properties ``own``.
    """

    name: str
    model: str
    link: str
    shape: "Shape"
    through: str | None = None
    own: tuple[str, ...] = ()
    added: bool = False
    linked: bool = False


Shape = tuple[str | One | Many, ...]


@dataclass(frozen=True)
class Listing:
    """How a list endpoint gives its records.

    Attributes:
        largest_page: so many at most at once; None: always all of them.
        tracks_changes: whether it takes ``updated_after``, ``include_deleted`` and
            ``ignore_unsupported_filters``; otherwise deleted records are just gone.
        data: the JSON of a page.
    """

    largest_page: int | None = 250
    tracks_changes: bool = True
    data: bytes = b'{"next":%(next)b,"results":[%(records)b]}'


TRACKED = Listing()
PAGED = Listing(tracks_changes=False)
WHOLE = Listing(largest_page=None, tracks_changes=False)


@dataclass(frozen=True, eq=False)
class Model:
    """One of Kombo's data models, under Kombo's own name.

    Attributes:
        links: name of a link and the model it leads to.
        nested: what a served record shows of other records, after its own properties.
        hidden: the own properties that it does not show: other records show them, or filters and
            the order of events need them.
        common: the query parameters for ids.
        filters: the query parameters that its endpoint has beside those of most endpoints.
        changes: the own properties that get new values when a record is to change.
        customised: whether customers add fields to it.
        local_ids: whether its ids are the tool's own, unique only within an integration.
        served: whether it has a list endpoint; the others are seen only inside records.
    """

    id: str
    label: str
    changes: tuple[str, ...]
    links: Mapping[str, str] = field(default_factory=dict)
    nested: tuple[One | Many, ...] = ()
    hidden: tuple[str, ...] = ()
    common: tuple[Filter, ...] = (IDS, REMOTE_IDS)
    filters: tuple[Filter, ...] = ()
    listing: Listing = TRACKED
    customised: bool = False
    local_ids: bool = False
    served: bool = True

    @property
    def category(self) -> str | None:
        """The kind of tool that has it; None for what each connection has."""
        category = self.id.partition("_")[0].upper()
        return category if category in CATEGORIES else None

    @property
    def path(self) -> str:
        """The path of its list endpoint, without ``/v1``."""
        if self.category is None:
            return f"/integrations/{{integration_id}}/{self.id.replace('_', '-')}"
        category, _, name = self.id.partition("_")
        return f"/{category}/{name.replace('_', '-')}"

    @property
    def all_filters(self) -> tuple[Filter, ...]:
        return (*self.common, *self.filters)

    def shown(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """What a served record shows of its own properties."""
        return {name: value for name, value in own.items() if name not in self.hidden}


UNDATED = ("remote_created_at", "remote_updated_at")
"""Hidden where Kombo does not say when the tool made and changed a record."""

UNTRACKED = ("remote_id", *UNDATED, "changed_at", "remote_deleted_at")
"""Hidden where Kombo does not say that a record changes at all."""
