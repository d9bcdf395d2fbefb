from __future__ import annotations

import decimal
from collections.abc import Iterable
from importlib import resources
from typing import Any, ClassVar

import requests
from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.helpers.jsonpath import extract_jsonpath
from singer_sdk.helpers.types import Context
from singer_sdk.streams import RESTStream

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
