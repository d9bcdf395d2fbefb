"""What customers set up of a connection, whatever the tool: the models."""

from kombo_sandbox.models.row import UNTRACKED, Listing, Model, One

_DATA = b'{"results":[%(records)b],"next_cursor":%(next)b,"next":%(next)b}'

ROWS = (
    Model(
        id="integration_fields",
        label="Integration fields",
        changes=("label", "is_passthrough_enabled"),
        hidden=UNTRACKED,
        common=(),
        listing=Listing(largest_page=2000, tracks_changes=False, data=_DATA),
    ),
    Model(
        id="custom_fields",
        label="Custom fields",
        links={"integration_field": "integration_fields"},
        changes=("label", "description"),
        hidden=UNTRACKED,
        nested=(One("integration_field", "integration_field", ("id", "key", "type", "label")),),
        common=(),
        listing=Listing(largest_page=250, tracks_changes=False, data=_DATA),
    ),
)
