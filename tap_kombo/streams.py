"""Kombo's models as streams: one table, one row each.

A model more is a row more, and its schema: `make schemas`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from importlib import resources
from typing import Any, ClassVar, Protocol

from singer_sdk import SchemaDirectory, StreamSchema, Tap
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.helpers.types import Context
from singer_sdk.streams.rest import HTTPRequest, PageContext, RESTStream

from tap_kombo.answers import INTEGRATION, INTEGRATION_MODELS, PACKAGES, PAGES, Listing
from tap_kombo.bookmarks import Bookmarks
from tap_kombo.client import KomboClient
from tap_kombo.errors import KomboError
from tap_kombo.filters import fingerprint, parameters
from tap_kombo.maps import mapped_fields
from tap_kombo.reader import CursorPaginator, Job, walk
from tap_kombo.records import DECODER, RecordShape
from tap_kombo.settings import base_url
from tap_kombo.times import write_time

INTEGRATION_PATH = "/integrations/{integration_id}"


class Source(Protocol):
    """What all streams share."""

    @property
    def authenticator(self) -> BearerTokenAuthenticator: ...

    @property
    def client(self) -> KomboClient: ...

    @property
    def bookmarks(self) -> Bookmarks: ...


class KomboStream(RESTStream[str | None]):
    """One of Kombo's models, read whole each time.

    It is the SDK's REST stream with Kombo's ways: a partition for each integration, whose pages
    are chained by `next`. `sync_all` of the tap drives many of them at once, through `job`;
    `get_records` drives one by hand.
    """

    schema: ClassVar[StreamSchema] = StreamSchema(
        SchemaDirectory(resources.files("tap_kombo") / "schemas")
    )
    state_partitioning_keys: Sequence[str] | None = ("integration_id",)
    replication_key: str | None = None
    records_jsonpath = "$.data.results[*]"
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # `RecordShape` does it

    def __init__(self, tap: Tap, source: Source, model: Model) -> None:
        super().__init__(tap, name=model.name, path=model.path)
        self._source = source
        self.primary_keys = model.key
        self.listing = model.listing

    @property
    def url_base(self) -> str:
        return base_url(self.config)

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return self._source.authenticator

    @property
    def partitions(self) -> list[dict[str, Any]]:
        return [{"integration_id": name} for name in self.config["integration_ids"]]

    def get_new_paginator(self) -> CursorPaginator:
        return CursorPaginator()

    def get_url_params(
        self, context: Context | None, next_page_token: str | None
    ) -> dict[str, Any]:
        """Kombo wants every filter again with every cursor, so all parameters are always sent."""
        params = {**self.filters, **self.page_params(context)}
        if next_page_token:
            params["cursor"] = next_page_token
        return params

    def get_http_request(self, *, page: PageContext[str | None]) -> HTTPRequest:
        request = super().get_http_request(page=page)
        request.headers["X-Integration-Id"] = str((page.stream_context or {})["integration_id"])
        return request

    @cached_property
    def filters(self) -> dict[str, str]:
        """Query parameters that leave records out, because the settings say so."""
        return parameters(self.config.get("filters", {}), self.name)

    @property
    def scope(self) -> str | None:
        """A fingerprint of what leaves records out; None if nothing does."""
        return fingerprint(self.filters)

    @property
    def page_size(self) -> int | None:
        """Records a page; None where all come at once."""
        return int(self.config["page_size"])

    def page_params(self, context: Context | None) -> dict[str, Any]:
        """Build the query parameters that the endpoint takes besides filters and cursor."""
        return {"page_size": (context or {}).get("page_size", self.page_size)}

    def since(self, integration_id: str) -> str | None:  # noqa: ARG002  # see ChangedSinceStream
        """Tell from when on changes are to be read, in Kombo's format; None for everything."""
        return None

    def job(self, integration_id: str) -> Job:
        """Describe what there is to read of an integration, for the reader.

        What is read on from where it was cut off is of two times: what was read before may have
        changed since. So the changes since the read's begin are read after it, as one job more.
        Where changes cannot be asked for, or are not, the read begins again.
        """
        since = self.since(integration_id)
        job = self._job(integration_id, since)
        if self.replication_method == "FULL_TABLE":
            return job
        resume = self._source.bookmarks.resume_point(self.name, integration_id, since)
        if resume is None:
            return job

        def catch_up(started: datetime) -> Job:
            bookmark = self._source.bookmarks.after(self.name, integration_id, started)
            return self._job(integration_id, write_time(bookmark))

        return replace(job, resume=resume, catch_up=catch_up)

    def _job(self, integration_id: str, since: str | None) -> Job:
        # The state moves while pages are read, but all pages of a job are asked for alike.
        context = {"integration_id": integration_id, "updated_after": since}

        def request(cursor: str | None, page_size: int | None) -> HTTPRequest:
            return self.get_http_request(
                page=PageContext(
                    stream_context={**context, "page_size": page_size}, next_page_token=cursor
                )
            )

        return Job(
            stream=self.name,
            integration_id=integration_id,
            since=since,
            listing=self.listing,
            is_filtered=bool(self.filters),
            request=request,
            page_size=self.page_size,
        )

    def record_shape(self) -> RecordShape:
        """Build what brings this stream's records into the shape that its SCHEMA promises."""
        mapped = mapped_fields(self.config.get("stream_maps") or {}, self.name)
        return RecordShape(self.name, self.effective_schema, self.mask, mapped)

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:
        """Read one integration, serially, for who drives a stream by hand."""
        integration_id = str((context or {})["integration_id"])
        shape = self.record_shape()
        try:
            for page in walk(self.job(integration_id), self._source.client):
                for text in shape.texts(page.records, integration_id, page.read_at):
                    yield DECODER.decode(text)
        except KomboError as error:
            if not error.outcome.is_skip:
                raise
            self.logger.info("%s of %s skipped: %s", self.name, integration_id, error)

    def _increment_stream_state(
        self, latest_record: Mapping[str, Any], *, context: Context | None = None
    ) -> None:
        """Leave the bookmark alone: `changed_at` of a record says nothing about it."""


class ChangedSinceStream(KomboStream):
    """A model whose changes can be asked for: only what changed since the last complete read."""

    replication_key = "changed_at"

    def page_params(self, context: Context | None) -> dict[str, Any]:
        params = super().page_params(context)
        if self.config["include_deleted"]:
            params["include_deleted"] = "true"
        if self.filters and self.config["ignore_unsupported_filters"]:
            params["ignore_unsupported_filters"] = "true"
        if context:
            since = (
                context["updated_after"]
                if "updated_after" in context
                else self.since(str(context["integration_id"]))
            )
            if since:
                params["updated_after"] = since
        return params

    @property
    def scope(self) -> str | None:
        """Deletions count too: those from before are told to who reads everything once."""
        restrictions = dict(self.filters)
        if not self.config["include_deleted"]:
            restrictions["include_deleted"] = "false"
        if self.filters and self.config["ignore_unsupported_filters"]:
            restrictions["ignore_unsupported_filters"] = "true"
        return fingerprint(restrictions)

    def since(self, integration_id: str) -> str | None:
        if self.replication_method == "FULL_TABLE":
            return None
        return self._source.bookmarks.since(self.name, integration_id)


class UnpagedStream(KomboStream):
    """What Kombo answers all at once."""

    page_size = None

    def page_params(self, context: Context | None) -> dict[str, Any]:  # noqa: ARG002
        return {}


@dataclass(frozen=True, slots=True)
class Model:
    """A row of the table.

    Attributes:
        name: Kombo's name of the model, and the stream's.
        path: Where its records are listed.
        behaviour: How it is read.
        key: What tells its records apart, over all integrations.
        listing: How its answers list the records.
    """

    name: str
    path: str
    behaviour: type[KomboStream] = ChangedSinceStream
    key: tuple[str, ...] = ("id",)
    listing: Listing = PAGES


AI_APPLY = "AI Apply is another product: its records belong to career sites, not to integrations"

MODELS: tuple[Model, ...] = (
    Model("ats_application_stages", "/ats/application-stages"),
    Model("ats_applications", "/ats/applications"),
    Model("ats_attachments", "/ats/attachments"),
    Model("ats_candidates", "/ats/candidates"),
    Model("ats_interviews", "/ats/interviews"),
    Model("ats_jobs", "/ats/jobs"),
    Model("ats_notes", "/ats/notes"),
    Model("ats_offers", "/ats/offers"),
    Model("ats_rejection_reasons", "/ats/rejection-reasons"),
    Model("ats_roles", "/ats/roles"),
    Model("ats_scorecards", "/ats/scorecards"),
    Model("ats_tags", "/ats/tags"),
    Model("ats_users", "/ats/users"),
    Model("hris_absence_types", "/hris/absence-types"),
    Model("hris_absences", "/hris/absences"),
    Model("hris_employee_document_categories", "/hris/employee-document-categories"),
    Model("hris_employee_skill_assignments", "/hris/employee-skill-assignments", UnpagedStream),
    Model("hris_employees", "/hris/employees"),
    Model("hris_employments", "/hris/employments"),
    Model("hris_groups", "/hris/groups"),
    Model("hris_legal_entities", "/hris/legal-entities"),
    Model("hris_locations", "/hris/locations"),
    Model("hris_pay_runs", "/hris/pay-runs"),
    Model("hris_payslips", "/hris/payslips"),
    Model("hris_performance_review_cycles", "/hris/performance-review-cycles"),
    Model("hris_performance_reviews", "/hris/performance-reviews"),
    # It has `changed_at`, but takes no `updated_after`.
    Model("hris_skills", "/hris/skills", UnpagedStream),
    Model("hris_staffing_entities", "/hris/staffing-entities"),
    Model("hris_time_off_balances", "/hris/time-off-balances"),
    Model("hris_timesheets", "/hris/timesheets"),
    Model("lms_course_progressions", "/lms/course-progressions"),
    Model("lms_courses", "/lms/courses"),
    Model("lms_skills", "/lms/skills"),
    Model("lms_users", "/lms/users"),
    Model("assessment_orders", "/assessment/orders", KomboStream),
    # Their ids are the assessment provider's own.
    Model(
        "assessment_packages",
        "/assessment/packages",
        UnpagedStream,
        key=("integration_id", "id"),
        listing=PACKAGES,
    ),
    Model("integrations", INTEGRATION_PATH, UnpagedStream, listing=INTEGRATION),
    # Their ids are the models' names.
    Model(
        "integration_models",
        INTEGRATION_PATH,
        UnpagedStream,
        key=("integration_id", "id"),
        listing=INTEGRATION_MODELS,
    ),
    Model("integration_fields", f"{INTEGRATION_PATH}/integration-fields", KomboStream),
    Model("custom_fields", f"{INTEGRATION_PATH}/custom-fields", KomboStream),
)
LEFT_OUT = {
    "/hris/teams": "deprecated by Kombo; the same teams are in hris_groups",
    "/assessment/orders/open": "deprecated by Kombo; the same orders are in assessment_orders",
    "/ai-apply/applications": AI_APPLY,
    "/ai-apply/career-sites": AI_APPLY,
    "/ai-apply/job-feeds": AI_APPLY,
    "/ai-apply/postings": AI_APPLY,
    "/ai-apply/unified-api/jobs": AI_APPLY,
}
"""Kombo's lists that are no streams, each with its reason; `make schemas` stops at a new one.

What is no list needs no row: the attachments of one application or candidate are fetched from
the tool itself, forms describe what can be written, DATEV's endpoints are for actions in one tool.
"""
