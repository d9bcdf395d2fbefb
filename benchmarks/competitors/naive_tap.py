"""A tap for Kombo, written as the template and documentation of the Singer SDK suggest.

Only for measurements: it loses data, as RESULTS.md explains.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from importlib import resources
from typing import Any, ClassVar

import requests
from singer_sdk import SchemaDirectory, Stream, StreamSchema, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.helpers.jsonpath import extract_jsonpath
from singer_sdk.helpers.types import Context
from singer_sdk.streams import RESTStream

from benchmarks.streams import STREAMS, paths

SCHEMAS = SchemaDirectory(resources.files("tap_kombo") / "schemas")


class NaiveStream(RESTStream[str]):
    schema: ClassVar[StreamSchema] = StreamSchema(SCHEMAS)
    primary_keys = ("id",)
    replication_key = "changed_at"
    records_jsonpath = "$.data.results[*]"
    next_page_token_jsonpath = "$.data.next"

    @property
    def url_base(self) -> str:
        return str(self.config["api_url"])

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=self.config["api_key"])

    @property
    def partitions(self) -> list[dict[str, Any]]:
        return [{"integration_id": name} for name in self.config["integration_ids"]]

    def get_url_params(
        self, context: Context | None, next_page_token: str | None
    ) -> dict[str, Any]:
        params: dict[str, Any] = {"page_size": 250, "include_deleted": "true"}
        if next_page_token:
            params["cursor"] = next_page_token
        if since := self.get_starting_timestamp(context):
            params["updated_after"] = since.isoformat()
        return params

    def get_http_request(self, *, page: Any) -> Any:
        request = super().get_http_request(page=page)
        request.headers["X-Integration-Id"] = page.stream_context["integration_id"]
        return request

    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        yield from extract_jsonpath(
            self.records_jsonpath, input=response.json(parse_float=decimal.Decimal)
        )

    def post_process(
        self, row: dict[str, Any], context: Context | None = None
    ) -> dict[str, Any] | None:
        return {**row, "integration_id": (context or {})["integration_id"]}


class NaiveTap(Tap):
    name = "tap-naive"

    config_jsonschema = th.PropertiesList(
        th.Property("api_key", th.StringType(nullable=False), required=True, secret=True),
        th.Property("api_url", th.StringType(nullable=False), required=True),
        th.Property(
            "integration_ids",
            th.ArrayType(th.StringType(nullable=False), nullable=False),
            required=True,
        ),
        th.Property("start_date", th.DateTimeType(nullable=True)),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [NaiveStream(self, name=name, path=path) for name, path in paths(STREAMS).items()]


if __name__ == "__main__":
    NaiveTap.cli()
