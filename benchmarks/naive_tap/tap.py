from __future__ import annotations

from singer_sdk import Stream, Tap
from singer_sdk import typing as th

from benchmarks.naive_tap.streams import NaiveStream
from benchmarks.streams import PATHS


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
        return [NaiveStream(self, name=name, path=path) for name, path in PATHS.items()]
