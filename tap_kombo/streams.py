"""Kombo's models as streams: one table, one row each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.helpers.types import Context
from singer_sdk.singerlib import Catalog
from singer_sdk.streams.rest import HTTPRequest, PageContext, RESTStream

from tap_kombo.errors import InputError
from tap_kombo.reader import CursorPaginator, Job, walk
from tap_kombo.records import DECODER, ENCODER, RecordShape
from tap_kombo.settings import base_url

if TYPE_CHECKING:
    from tap_kombo.tap import TapKombo


class KomboStream(RESTStream[str | None]):
    """One of Kombo's models, read whole each time.

    It is the SDK's REST stream with Kombo's ways: a partition for each integration, whose pages
    are chained by `next`. `sync_all` of the tap drives many of them at once, through `job`;
    `get_records` drives one by hand.
    """

    schema: ClassVar[StreamSchema] = StreamSchema(
        SchemaDirectory(resources.files("tap_kombo") / "schemas")
    )
    primary_keys: Sequence[str] = ("id",)
    state_partitioning_keys: Sequence[str] | None = ("integration_id",)
    replication_key: str | None = None
    records_jsonpath = "$.data.results[*]"
    next_page_token_jsonpath = "$.data.next"  # noqa: S105  # a path, no secret
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # `RecordShape` does it

    _tap: TapKombo

    def __init__(self, tap: TapKombo, model: Model) -> None:
        super().__init__(tap, name=model.name, path=model.path)

    @property
    def url_base(self) -> str:
        return base_url(self.config)

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return self._tap.authenticator

    @property
    def partitions(self) -> list[dict[str, Any]]:
        return [{"integration_id": name} for name in self.config["integration_ids"]]

    def get_new_paginator(self) -> CursorPaginator:
        return CursorPaginator()

    def get_url_params(
        self, context: Context | None, next_page_token: str | None
    ) -> dict[str, Any]:
        """Kombo wants every filter again with every cursor, so all parameters are always sent."""
        params: dict[str, Any] = {"page_size": self.config["page_size"]}
        if self.config["include_deleted"]:
            params["include_deleted"] = "true"
        if context and (since := self.since(str(context["integration_id"]))):
            params["updated_after"] = since
        if next_page_token:
            params["cursor"] = next_page_token
        return params

    def get_http_request(self, *, page: PageContext[str | None]) -> HTTPRequest:
        request = super().get_http_request(page=page)
        request.headers["X-Integration-Id"] = str((page.stream_context or {})["integration_id"])
        return request

    def since(self, integration_id: str) -> str | None:  # noqa: ARG002  # see ChangedSinceStream
        """Tell from when on changes are to be read, in Kombo's format; None for everything."""
        return None

    def job(self, integration_id: str) -> Job:
        """Describe what there is to read of an integration, for the reader."""
        context = {"integration_id": integration_id}
        since = self.since(integration_id)

        def request(cursor: str | None) -> HTTPRequest:
            return self.get_http_request(
                page=PageContext(stream_context=context, next_page_token=cursor)
            )

        return Job(
            stream=self.name,
            integration_id=integration_id,
            since=since,
            resume=self._tap.bookmarks.resume_point(self.name, integration_id, since),
            request=request,
        )

    def record_shape(self) -> RecordShape:
        """Build what brings this stream's records into the shape that its SCHEMA promises."""
        return RecordShape(self.name, self.effective_schema, self.mask)

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:
        """Read one integration, serially: for `--test`, and for who drives a stream by hand."""
        integration_id = str((context or {})["integration_id"])
        shape = self.record_shape()
        for page in walk(self.job(integration_id), self._tap.client):
            for record in page.records:
                shaped = shape.shape(record, integration_id, page.read_at)
                yield DECODER.decode(ENCODER.encode(shaped))

    def _increment_stream_state(
        self, latest_record: Mapping[str, Any], *, context: Context | None = None
    ) -> None:
        """Leave the bookmark alone: `changed_at` of a record says nothing about it."""


class ChangedSinceStream(KomboStream):
    """A model whose changes can be asked for: only what changed since the last complete read."""

    replication_key = "changed_at"

    def since(self, integration_id: str) -> str | None:
        if self.replication_method == "FULL_TABLE":
            return None
        return self._tap.bookmarks.since(self.name, integration_id)


@dataclass(frozen=True, slots=True)
class Model:
    """A row of the table.

    Attributes:
        name: Kombo's name of the model, and the stream's.
        path: Where its records are listed.
        behaviour: How it is read.
    """

    name: str
    path: str
    behaviour: type[KomboStream] = ChangedSinceStream


MODELS = (
    Model("ats_applications", "/ats/applications"),
    Model("ats_candidates", "/ats/candidates"),
    Model("ats_jobs", "/ats/jobs"),
    Model("ats_offers", "/ats/offers"),
)


def check_catalog(catalog: Any) -> Catalog | None:
    """Make sure that a catalog is one of this tap's before anything is selected by it.

    Many catalogs leave keys away; what they do not say is as the tap's own catalog has it.

    Args:
        catalog: What was read from the catalog file, or the SDK's `Catalog`; None for none.

    Raises:
        InputError: It is not a Singer catalog, or has a stream that the tap does not have.
    """
    if not catalog:
        return None
    if not isinstance(catalog, Catalog):
        entries = catalog.get("streams") if isinstance(catalog, dict) else None
        if not isinstance(entries, list) or not all(map(_is_catalog_entry, entries)):
            raise InputError(
                'The catalog is not a Singer catalog: it must be an object like {"streams": '
                f'[{{"tap_stream_id": "ats_offers", "schema": {{...}}}}]}}. {NEW_CATALOG}'
            )
        return check_catalog(Catalog.from_dict(catalog))
    models = {model.name: model for model in MODELS}
    for entry in catalog.streams:
        name = entry.tap_stream_id
        if name not in models:
            close = difflib.get_close_matches(name, models, n=1)
            raise InputError(
                f"The catalog has a stream {name!r}, which tap-kombo does not have"
                f"{f' (is {close[0]} meant?)' if close else ''}. {NEW_CATALOG}"
            )
        behaviour = models[name].behaviour
        entry.key_properties = entry.key_properties or list(behaviour.primary_keys)
        entry.replication_key = behaviour.replication_key
    return catalog


NEW_CATALOG = "Make a new one with `tap-kombo --discover`."


def _is_catalog_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("tap_stream_id"), str)
        and isinstance(entry.get("schema"), dict)
        and isinstance(entry["schema"].get("properties"), dict)
    )
