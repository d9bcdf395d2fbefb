"""The files that make the source a connector of Airbyte."""

from __future__ import annotations

from typing import Any

import msgspec

from harness import PROJECT
from tap_kombo.settings import API_URLS

FOLDER = PROJECT / "airbyte"


def metadata() -> dict[str, Any]:
    content: dict[str, Any] = msgspec.yaml.decode((FOLDER / "metadata.yaml").read_bytes())["data"]
    return content


def test_source_may_connect_to_kombo_in_all_regions() -> None:
    hosts = {url.split("/")[2] for url in API_URLS.values()}

    assert set(metadata()["allowedHosts"]["hosts"]) == hosts


def test_icon_is_an_image() -> None:
    assert (FOLDER / metadata()["icon"]).read_text().startswith("<svg ")
