"""The streams to read after a `data-changed` webhook, without running the tap."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from kombo.models import datachangedwebhookpayload as client

from kombo_sandbox.models import MODELS
from kombo_sandbox.updates import dependents
from tap_kombo import changed_models
from tap_kombo.changed_models import NESTED_IN, STREAMS, streams_of

A, B = "personio:a", "greenhouse:b"


def config(**changed: Any) -> dict[str, Any]:
    return {"integration_ids": [A, B], **changed}


@pytest.mark.parametrize("model", get_args(client.Name))
def test_each_webhook_model_is_known(model: str) -> None:
    settings = config(changed_models={A: [model]})

    assert list(changed_models.warnings(settings)) == []
    assert streams_of(model)


@pytest.mark.parametrize(
    ("model", "streams"),
    [
        ("ats_rejection_reasons", {"ats_rejection_reasons"}),
        ("ats_offers", {"ats_offers", "ats_applications"}),
        ("ats_job_postings", {"ats_jobs"}),
        ("hris_teams", {"hris_groups", "hris_employees", "hris_staffing_entities"}),
        ("hris_employments", {"hris_employments", "hris_employees"}),
        ("hris_join_employees_teams", {"hris_employees"}),
        ("lms_course_revisions", {"lms_courses"}),
    ],
)
def test_a_model_is_read_with_the_streams_that_it_is_nested_in(
    model: str, streams: set[str]
) -> None:
    assert streams_of(model) == streams


@pytest.mark.parametrize("model", sorted(STREAMS))
def test_all_streams_with_tracked_copies_of_a_model_are_read(model: str) -> None:
    """The sandbox has its own table of the copies that `updated_after` tracks."""
    assert streams_of(model) >= {model, *(one.model for one in dependents(MODELS[model]))}


def test_nested_models_map_to_existing_streams() -> None:
    assert {stream for streams in NESTED_IN.values() for stream in streams} <= STREAMS


def test_an_unknown_model_selects_its_category_with_one_warning() -> None:
    unknown = config(changed_models={A: ["ats_surveys", "ats_jobs"], B: ["ats_surveys"]})

    [warning] = changed_models.warnings(unknown)

    assert warning.startswith("`changed_models`: no such model: ats_surveys;")
    assert streams_of("ats_surveys") == {name for name in STREAMS if name.startswith("ats_")}


def test_a_stream_without_a_webhook_is_an_unknown_model() -> None:
    [warning] = changed_models.warnings(config(changed_models={A: ["custom_fields"]}))

    assert "custom_fields" in warning
    assert streams_of("custom_fields") == set()


def test_an_unknown_integration_is_a_warning() -> None:
    [warning] = changed_models.warnings(config(changed_models={"lever:c": ["ats_jobs"]}))

    assert warning == "`changed_models`: not in `integration_ids`: lever:c; ignored."


def test_only_selected_streams_of_changed_integrations_are_read() -> None:
    changed = {A: ["hris_employments", "hris_teams"], B: [], "lever:c": ["ats_jobs"]}

    reads = changed_models.reads(
        config(changed_models=changed), ["hris_employees", "hris_groups", "hris_locations"]
    )

    assert reads == {A: ["hris_employees", "hris_groups"]}


def test_an_integration_without_a_selected_stream_is_not_read() -> None:
    assert changed_models.reads(config(changed_models={A: ["ats_jobs"]}), ["ats_tags"]) == {}


def test_everything_is_read_without_the_setting_and_nothing_without_changes() -> None:
    assert changed_models.reads(config(), ["ats_jobs"]) == {A: ["ats_jobs"], B: ["ats_jobs"]}
    assert changed_models.reads(config(changed_models={}), ["ats_jobs"]) == {}
