"""The models of assessment tools."""

from kombo_sandbox.filters import IDS, by_enum, since
from kombo_sandbox.models.model import UNTRACKED, Listing, Model

MODELS = (
    Model(
        id="assessment_orders",
        links={"package": "assessment_packages"},
        changes=("status", "candidate"),
        hidden=UNTRACKED,
        id_filters=(IDS,),
        filters=(
            by_enum("statuses", "status", "OPEN COMPLETED CANCELLED REJECTED"),
            since("created_after", "remote_created_at"),
        ),
        listing=Listing(tracks_changes=False),
        extras=(),
    ),
    Model(
        id="assessment_packages",
        changes=("name", "description"),
        hidden=UNTRACKED,
        id_filters=(),
        listing=Listing(
            max_page_size=None, tracks_changes=False, data=b'{"packages":[%(records)b]}'
        ),
        extras=(),
        local_ids=True,
    ),
)
