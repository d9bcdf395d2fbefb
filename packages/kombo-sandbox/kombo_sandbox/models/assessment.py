"""The models of assessment tools."""

from kombo_sandbox.filters import IDS, by_enum, since
from kombo_sandbox.models.model import PAGED, UNTRACKED, Listing, Model

MODELS = (
    Model(
        id="assessment_orders",
        links={"package": "assessment_packages"},
        changes=("status", "candidate"),
        hidden=UNTRACKED,
        common=(IDS,),
        filters=(
            by_enum("statuses", "status", "OPEN COMPLETED CANCELLED REJECTED"),
            since("created_after", "remote_created_at"),
        ),
        listing=PAGED,
        extras=(),
    ),
    Model(
        id="assessment_packages",
        changes=("name", "description"),
        hidden=UNTRACKED,
        common=(),
        listing=Listing(
            largest_page=None, tracks_changes=False, data=b'{"packages":[%(records)b]}'
        ),
        extras=(),
        local_ids=True,
    ),
)
