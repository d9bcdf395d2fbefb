"""The SDK's own tests of a tap, against the sandbox.

They build the tap when this module is imported, so they bring a sandbox of their own.
"""

from __future__ import annotations

import atexit

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from kombo_sandbox import Sandbox
from tap_kombo.streams import KomboStream
from tap_kombo.tap import TapKombo
from tests.tap_run import settings_for

# The SDK warns of columns that are null in all records, like `additional_fields` mostly is.
pytestmark = pytest.mark.filterwarnings("ignore:No records were available:UserWarning")

sandbox = Sandbox(
    integrations=1, offers=30, seed=9, categories=("ATS", "HRIS", "LMS", "ASSESSMENT")
)
atexit.register(sandbox.stop)

TestTapKombo = get_tap_test_class(
    TapKombo,
    config=settings_for(sandbox),
    suite_config=SuiteConfig(max_records_limit=20),
)


def offers_stream() -> KomboStream:
    stream = TapKombo(config=settings_for(sandbox)).streams["ats_offers"]
    assert isinstance(stream, KomboStream)
    return stream


def test_a_stream_can_be_driven_by_hand(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    stream = offers_stream()

    records = list(stream.get_records({"integration_id": sandbox.integration_ids[0]}))

    truth = sandbox.records("ats_offers", sandbox.integration_ids[0])
    assert [record["id"] for record in records] == [record["id"] for record in truth]
    assert capfdbinary.readouterr().out == b""


def test_a_stream_is_recognisably_the_sdks() -> None:
    stream = offers_stream()

    assert stream.url_base == sandbox.url
    assert stream.replication_key == "changed_at"
    assert stream.primary_keys == ("id",)
    assert stream.get_new_paginator().current_value is None
    context = {"integration_id": sandbox.integration_ids[0]}
    assert stream.get_url_params(context, "abc")["cursor"] == "abc"


def test_driving_a_stream_by_hand_leaves_bookmarks_alone() -> None:
    tap = TapKombo(config=settings_for(sandbox))

    tap.run_connection_test()

    for stream in tap.state["bookmarks"].values():
        for partition in stream.get("partitions", []):
            assert "replication_key_value" not in partition
