"""Kombo's models as streams: three classes of behavior, and a table with a row for each model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from typing import Any, ClassVar

from singer_sdk import SchemaDirectory, Stream, StreamSchema, Tap
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.helpers.types import Context
from singer_sdk.singerlib import Catalog

from tap_kombo import settings
from tap_kombo.catalog import check_entry
from tap_kombo.errors import KomboError
from tap_kombo.reader import INTEGRATION_PATH, Page, Start, StreamPartition
from tap_kombo.records import DECODER, RecordEncoder
from tap_kombo.responses import (
    DETAILS,
    INTEGRATION,
    PACKAGES,
    PAGES,
    ResponseFormat,
    read_models,
)
from tap_kombo.state import LeftOut
from tap_kombo.stream_maps import mapped_fields, record_filters


class KomboStream(Stream):
    """A model that is read completely by every sync, in pages.

    `TapKombo.sync_all` reads the partitions of all streams at a time. `get_records` reads one, for
    code that uses a stream by itself.
    """

    schema: ClassVar[StreamSchema] = StreamSchema(
        SchemaDirectory(resources.files("tap_kombo") / "schemas")
    )
    state_partitioning_keys: Sequence[str] | None = ("integration_id",)
    replication_key: str | None = None
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # the record encoder conforms types

    def __init__(self, tap: Tap, model: Model, read: Callable[[str, str], Iterable[Page]]) -> None:
        super().__init__(tap, name=model.name)
        self.model = model
        self._read = read
        self.primary_keys = model.key

    @property
    def partitions(self) -> list[dict[str, Any]]:
        return [{"integration_id": name} for name in self.config["integration_ids"]]

    @property
    def is_incremental(self) -> bool:
        """Whether a sync reads only changes; the catalog may ask for everything instead."""
        return self.replication_method == "INCREMENTAL"

    @property
    def page_size(self) -> int | None:
        """Records per page; None if the endpoint is not paged."""
        return int(self.config["page_size"])

    @property
    def restrictions(self) -> dict[str, str]:
        """The query parameters that leave records out."""
        return settings.filter_params(self.config, self.name)

    @property
    def params(self) -> dict[str, str]:
        """The query parameters of every page."""
        return self.restrictions

    @property
    def left_out(self) -> LeftOut:
        """Everything that this run leaves out of the stream."""
        maps = self.config.get("stream_maps") or {}
        return LeftOut.of(self.restrictions | record_filters(maps, self.name), self.mask)

    def partition(self, integration_id: str, start: Start) -> StreamPartition:
        """Build the partition of an integration, to be read from `start`."""
        return StreamPartition(
            stream=self.name,
            integration_id=integration_id,
            path=self.model.path,
            format=self.model.format,
            params=self.params,
            page_size=self.page_size,
            is_filtered=bool(self.config.get("filters", {}).get(self.name)),
            is_incremental=self.is_incremental,
            start=start,
            lookback=timedelta(seconds=self.config["lookback_seconds"]),
        )

    def apply_catalog(self, catalog: Catalog) -> None:
        """Check and apply a catalog."""
        super().apply_catalog(catalog)
        if entry := catalog.get_stream(self.name):
            check_entry(entry, self.schema)
        if not self.replication_key:
            self.forced_replication_method = "FULL_TABLE"

    def record_encoder(self, deleted_at: str = "_sdc_deleted_at") -> RecordEncoder:
        mapped = mapped_fields(self.config.get("stream_maps") or {}, self.name)
        return RecordEncoder(self.name, self.effective_schema, self.mask, mapped, deleted_at)

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:
        """Yield the records of one integration, page by page."""
        integration_id = str((context or {})["integration_id"])
        encoder = self.record_encoder()
        try:
            for page in self._read(self.name, integration_id):
                for text in encoder.encode(page.records, integration_id, page.received_at):
                    yield DECODER.decode(text)
        except KomboError as error:
            if not error.is_skip:
                raise
            self.logger.info("%s (%s): %s; skipped.", self.name, integration_id, error)

    def _increment_stream_state(
        self, latest_record: Mapping[str, Any], *, context: Context | None = None
    ) -> None:
        """Do nothing: a record's `changed_at` is not a bookmark."""


class IncrementalStream(KomboStream):
    """A model whose changes since the last sync Kombo returns.

    https://docs.kombo.dev/ats/getting-started/fetching-data
    """

    replication_key = "changed_at"

    @property
    def restrictions(self) -> dict[str, str]:
        restrictions = super().restrictions
        if restrictions and self.config["ignore_unsupported_filters"]:
            restrictions["ignore_unsupported_filters"] = "true"
        if not self.config["include_deleted"]:
            restrictions["include_deleted"] = "false"
        return restrictions

    @property
    def params(self) -> dict[str, str]:
        return {"include_deleted": "true", **self.restrictions}


class UnpagedStream(KomboStream):
    """A model that Kombo returns in one response."""

    page_size = None


class SyncStatusStream(KomboStream):
    """How the reads of the other streams ended: records that the tap makes during a sync."""

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:  # noqa: ARG002
        return ()


@dataclass(frozen=True, slots=True)
class Model:
    """A row of the table.

    Attributes:
        name: The stream's name: Kombo's name of the model, but for `STREAM_NAMES`.
        path: The endpoint that lists its records.
        stream_class: Its behavior.
        key: The fields that identify a record, over all integrations.
        format: The format of the endpoint's responses.
    """

    name: str
    path: str
    stream_class: type[KomboStream] = IncrementalStream
    key: tuple[str, ...] = ("id",)
    format: ResponseFormat = PAGES


INTEGRATION_MODELS = ResponseFormat(
    DETAILS, lambda details: read_models(details, {model.name for model in MODELS})
)
"""Each of the integration's models is a record."""

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
    # The records have `changed_at`, but the endpoint does not accept `updated_after`.
    Model("hris_skills", "/hris/skills", UnpagedStream),
    Model("hris_staffing_entities", "/hris/staffing-entities"),
    Model("hris_time_off_balances", "/hris/time-off-balances"),
    Model("hris_timesheets", "/hris/timesheets"),
    Model("lms_course_progressions", "/lms/course-progressions"),
    Model("lms_courses", "/lms/courses"),
    Model("lms_skills", "/lms/skills"),
    Model("lms_users", "/lms/users"),
    Model("assessment_orders", "/assessment/orders", KomboStream),
    # The ids are the assessment provider's own.
    Model(
        "assessment_packages",
        "/assessment/packages",
        UnpagedStream,
        key=("integration_id", "id"),
        format=PACKAGES,
    ),
    Model("integrations", INTEGRATION_PATH, UnpagedStream, format=INTEGRATION),
    # The ids are the models' names.
    Model(
        "integration_models",
        INTEGRATION_PATH,
        UnpagedStream,
        key=("integration_id", "id"),
        format=INTEGRATION_MODELS,
    ),
    Model(
        "integration_fields",
        f"{INTEGRATION_PATH}/integration-fields",
        KomboStream,
        key=("integration_id", "id"),
    ),
    # A custom field has the same id in all integrations, each with its own mapping.
    Model(
        "custom_fields",
        f"{INTEGRATION_PATH}/custom-fields",
        KomboStream,
        key=("integration_id", "id"),
    ),
)

SYNC_STATUS = Model("sync_status", "", SyncStatusStream, key=("integration_id", "stream"))

ALL_MODELS = (*MODELS, SYNC_STATUS)

EXCLUDED = {
    "/hris/teams": "deprecated by Kombo; the same teams are in hris_groups",
    "/assessment/orders/open": "deprecated by Kombo; the same orders are in assessment_orders",
    "/ai-apply/applications": AI_APPLY,
    "/ai-apply/career-sites": AI_APPLY,
    "/ai-apply/job-feeds": AI_APPLY,
    "/ai-apply/postings": AI_APPLY,
    "/ai-apply/unified-api/jobs": AI_APPLY,
}
"""Lists that are not streams, and why. `make schemas` fails if Kombo has another one.

Endpoints that are not lists need no row: the attachments of an application or a candidate are
fetched from the tool, forms describe what can be written, and DATEV's endpoints are for actions.
"""
