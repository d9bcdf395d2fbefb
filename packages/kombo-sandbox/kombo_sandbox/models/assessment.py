"""Assessments: the models."""

from kombo_sandbox.filters import IDS, Filter, among, date, some_of
from kombo_sandbox.models.row import PAGED, UNTRACKED, Listing, Model

ROWS = (
    Model(
        id="assessment_orders",
        label="Orders",
        links={"package": "assessment_packages"},
        changes=("status", "candidate"),
        hidden=UNTRACKED,
        common=(IDS,),
        filters=(
            among(
                "statuses",
                "r.own->>'status'",
                some_of("OPEN", "COMPLETED", "CANCELLED", "REJECTED"),
            ),
            Filter("created_after", "r.own->>'remote_created_at' >= :created_after", date),
        ),
        listing=PAGED,
    ),
    Model(
        id="assessment_packages",
        label="Packages",
        changes=("name", "description"),
        hidden=UNTRACKED,
        common=(),
        listing=Listing(
            largest_page=None, tracks_changes=False, data=b'{"packages":[%(records)b]}'
        ),
        local_ids=True,
    ),
)
