"""The SDK's own tests of a tap, against the sandbox.

The tap is built when this module is imported, so the module starts its own sandbox.
"""

from __future__ import annotations

import atexit

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from harness.tap import settings_for
from kombo_sandbox import Sandbox
from tap_kombo.tap import TapKombo

# The SDK warns of columns that are null in all records, as `additional_fields` usually is.
pytestmark = pytest.mark.filterwarnings("ignore:No records were available:UserWarning")

sandbox = Sandbox(
    integrations=1, offers=30, seed=9, categories=("ATS", "HRIS", "LMS", "ASSESSMENT")
)
atexit.register(sandbox.stop)

TestTapKombo = get_tap_test_class(
    TapKombo,
    config=settings_for(sandbox),
    suite_config=SuiteConfig(max_records_limit=20, ignore_no_records_for_streams=["sync_status"]),
)


def test_one_stream_can_be_read_from_python(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    stream = TapKombo(config=settings_for(sandbox)).kombo_streams["ats_offers"]

    records = list(stream.get_records({"integration_id": sandbox.integration_ids[0]}))

    offers = sandbox.records("ats_offers", sandbox.integration_ids[0])
    assert [record["id"] for record in records] == [offer["id"] for offer in offers]
    assert capfdbinary.readouterr().out == b""


def test_stream_has_the_attributes_of_the_sdk() -> None:
    stream = TapKombo(config=settings_for(sandbox)).streams["ats_offers"]

    assert stream.primary_keys == ("id",)
    assert stream.replication_key == "changed_at"
    assert stream.replication_method == "INCREMENTAL"
    assert stream.partitions == [{"integration_id": name} for name in sandbox.integration_ids]


def test_connection_test_of_the_sdk_sets_no_bookmarks() -> None:
    tap = TapKombo(config=settings_for(sandbox))

    tap.run_connection_test()

    for stream in tap.state["bookmarks"].values():
        for partition in stream.get("partitions", []):
            assert "replication_key_value" not in partition
