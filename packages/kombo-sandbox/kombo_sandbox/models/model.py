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
class NestedObject:
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
    nested: tuple["Nested", ...] = ()
    tracks_changes: bool = False


@dataclass(frozen=True)
class NestedList:
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
    nested: tuple["Nested", ...] = ()
    through: str | None = None
    own: str = ""
    tracks_members: bool = False
    tracks_changes: bool = False


Nested = NestedObject | NestedList


@dataclass(frozen=True)
class Listing:
    """The behavior of a list endpoint.

    Attributes:
        max_page_size: The largest `page_size`; None if the endpoint has no pages.
        tracks_changes: Whether it accepts `updated_after`, `include_deleted` and
            `ignore_unsupported_filters`. Otherwise it omits deleted records.
        data: The template of `data` in the response.
    """

    max_page_size: int | None = 250
    tracks_changes: bool = True
    data: bytes = b'{"next":%(next)b,"results":[%(records)b]}'


UNPAGED = Listing(max_page_size=None, tracks_changes=False)

ALL_EXTRAS = ("custom_fields", "integration_fields", "remote_data")


@dataclass(frozen=True, eq=False)
class Model:
    """NestedObject of Kombo's data models.

    Attributes:
        id: Kombo's name.
        links: Link -> the model that it refers to. A record has the id of the linked record in
            the property `<link>_id`.
        nested: Nested objects and lists, which follow the own properties.
        hidden: Stored properties that the list endpoint omits. They are needed for filters, for
            nested copies, or to generate later times for linked records.
        changes: Properties that get new values when a record is changed.
        id_filters: Query parameters for ids.
        filters: Other query parameters.
        listing: The behavior of the list endpoint.
        extras: Which of `custom_fields`, `integration_fields` and `remote_data` it has.
        seeded_deleted: Whether a few of the seeded records are deleted.
        local_ids: Whether ids are unique only within an integration.
        served: Whether it has a list endpoint. Other models are only nested.
    """

    id: str
    changes: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    nested: tuple[Nested, ...] = ()
    hidden: tuple[str, ...] = ()
    id_filters: tuple[Filter, ...] = (IDS, REMOTE_IDS)
    filters: tuple[Filter, ...] = ()
    listing: Listing = Listing()
    extras: tuple[str, ...] = ("remote_data",)
    seeded_deleted: bool = False
    local_ids: bool = False
    served: bool = True

    @property
    def category(self) -> str | None:
        """The category of the tools that have this model; None if all tools have it."""
        category = self.id.partition("_")[0].upper()
        return category if category in CATEGORIES else None

    @property
    def label(self) -> str:
        name = self.id.partition("_")[2] if self.category else self.id
        return name.replace("_", " ").capitalize()

    @property
    def path(self) -> str:
        """The path of the list endpoint, without `/v1`."""
        if self.category is None:
            return f"/integrations/{{integration_id}}/{self.id.replace('_', '-')}"
        category, _, name = self.id.partition("_")
        return f"/{category}/{name.replace('_', '-')}"

    @property
    def all_filters(self) -> tuple[Filter, ...]:
        return (*self.id_filters, *self.filters)

    @property
    def has_custom_fields(self) -> bool:
        return "integration_fields" in self.extras

    def shown(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the own properties that the list endpoint returns."""
        return {name: value for name, value in own.items() if name not in self.hidden}


UNDATED = ("remote_created_at", "remote_updated_at")
"""Properties to hide if Kombo does not return the tool's own times"""

UNTRACKED = ("remote_id", *UNDATED, "changed_at", "remote_deleted_at")
"""Properties to hide if Kombo does not track changes of the model"""
