"""The models that integrations of every category have."""

from kombo_sandbox.models.model import UNTRACKED, Listing, Model, NestedObject

_DATA = b'{"results":[%(records)b],"next_cursor":%(next)b,"next":%(next)b}'

MODELS = (
    Model(
        id="integration_fields",
        changes=("label", "is_passthrough_enabled"),
        hidden=UNTRACKED,
        id_filters=(),
        listing=Listing(max_page_size=2000, tracks_changes=False, data=_DATA),
        extras=(),
    ),
    Model(
        id="custom_fields",
        links={"integration_field": "integration_fields"},
        changes=("label", "description"),
        hidden=("integration_field_id", *UNTRACKED),
        nested=(NestedObject("integration_field", "id key type label"),),
        id_filters=(),
        listing=Listing(max_page_size=250, tracks_changes=False, data=_DATA),
        extras=(),
        local_ids=True,
    ),
)
