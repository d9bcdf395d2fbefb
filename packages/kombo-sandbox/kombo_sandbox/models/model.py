"""The definition of a model: its properties, its nested records and its list endpoint.

The store keeps only the properties of the record itself. Nested records are joined by their links
when the record is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kombo_sandbox.filters import IDS, REMOTE_IDS, Filter

CATEGORIES = ("ATS", "HRIS", "LMS", "ASSESSMENT")

LIVE, DELETED, ANONYMIZED, FORGOTTEN = range(4)
"""States of a record. A forgotten record is never returned, but records that are linked to it can
still be changed"""


@dataclass(frozen=True)
class One:
    """A nested object: the record that the link of the same name refers to.

    Attributes:
        name: The property of the outer record, and its link.
        shape: The properties of the nested object, separated by spaces.
        nested: Nested objects and lists, which follow these properties.
        tracks_changes: `updated_after` matches the outer record when the nested record changes,
            as documented for `updated_after` in Kombo's OpenAPI document.
    """

    name: str
    shape: str = ""
    nested: tuple["Node", ...] = ()
    tracks_changes: bool = False


@dataclass(frozen=True)
class Many:
    """A nested list: the records of `model` whose `link` refers to the outer record.

    Attributes:
        name: The property of the outer record.
        model: The model of the nested records, or of the join records if `through` is set.
        link: The link from these records to the outer record.
        shape: The properties of a nested object, separated by spaces.
        nested: Nested objects and lists, which follow these properties.
        through: The link from a join record to the nested record.
        own: Properties of the join record to include, separated by spaces.
        tracks_members: `updated_after` matches the outer record when a record of `model` is added
            or removed.
        tracks_changes: `updated_after` matches the outer record when a nested record changes.
    """

    name: str
    model: str
    link: str
    shape: str = ""
    nested: tuple["Node", ...] = ()
    through: str | None = None
    own: str = ""
    tracks_members: bool = False
    tracks_changes: bool = False


Node = One | Many


@dataclass(frozen=True)
class Listing:
    """The behavior of a list endpoint.

    Attributes:
        largest_page: The largest `page_size`; None if the endpoint has no pages.
        tracks_changes: It accepts `updated_after`, `include_deleted` and
            `ignore_unsupported_filters`. Otherwise it omits deleted records.
        data: The JSON of a page.
    """

    largest_page: int | None = 250
    tracks_changes: bool = True
    data: bytes = b'{"next":%(next)b,"results":[%(records)b]}'


TRACKED = Listing()
PAGED = Listing(tracks_changes=False)
WHOLE = Listing(largest_page=None, tracks_changes=False)

CUSTOM = ("custom_fields", "integration_fields", "remote_data")


@dataclass(frozen=True, eq=False)
class Model:
    """One of Kombo's data models.

    Attributes:
        id: Kombo's name.
        links: The model behind each link. A record has the id of a linked record as the property
            `<link>_id`.
        nested: Nested objects and lists, which follow the own properties.
        hidden: Stored properties that the list endpoint omits. Filters, nested copies or the
            order of events need them.
        changes: Properties that get new values when a record is changed.
        common: Query parameters for ids.
        filters: Other query parameters.
        listing: The behavior of the list endpoint.
        extras: Which of `custom_fields`, `integration_fields` and `remote_data` it has.
        seeded_deleted: A few of the seeded records are deleted.
        local_ids: Ids are unique within an integration only.
        served: It has a list endpoint. Other models are only nested.
    """

    id: str
    changes: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    nested: tuple[Node, ...] = ()
    hidden: tuple[str, ...] = ()
    common: tuple[Filter, ...] = (IDS, REMOTE_IDS)
    filters: tuple[Filter, ...] = ()
    listing: Listing = TRACKED
    extras: tuple[str, ...] = ("remote_data",)
    seeded_deleted: bool = False
    local_ids: bool = False
    served: bool = True

    @property
    def category(self) -> str | None:
        """The category of the tools that have it; None if all have it."""
        category = self.id.partition("_")[0].upper()
        return category if category in CATEGORIES else None

    @property
    def label(self) -> str:
        name = self.id.partition("_")[2] if self.category else self.id
        return name.replace("_", " ").capitalize()

    @property
    def path(self) -> str:
        """The path of its list endpoint, without `/v1`."""
        if self.category is None:
            return f"/integrations/{{integration_id}}/{self.id.replace('_', '-')}"
        category, _, name = self.id.partition("_")
        return f"/{category}/{name.replace('_', '-')}"

    @property
    def all_filters(self) -> tuple[Filter, ...]:
        return (*self.common, *self.filters)

    @property
    def has_custom_fields(self) -> bool:
        return "integration_fields" in self.extras

    def shown(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the own properties that the list endpoint shows."""
        return {name: value for name, value in own.items() if name not in self.hidden}


UNDATED = ("remote_created_at", "remote_updated_at")
"""Hidden if Kombo does not return the times of the tool"""

UNTRACKED = ("remote_id", *UNDATED, "changed_at", "remote_deleted_at")
"""Hidden if Kombo does not track changes of the model"""
