"""Assessments: packages of tests, and orders to let a candidate take one."""

from collections.abc import Iterator, Mapping

from kombo_sandbox.store import Record, Row
from kombo_sandbox.tenant import Maker, Tenant

_PACKAGES = (
    ("TypeScript", "SKILLS_TEST"),
    ("Spreadsheets", "SKILLS_TEST"),
    ("Personality", "BEHAVIORAL"),
    ("First interview", "VIDEO_INTERVIEW"),
    ("Background", "BACKGROUND_CHECK"),
    ("References", "REFERENCE_CHECK"),
    ("Other", None),
)
_JOBS = ("Backend Engineer", "Accountant", "Werkstudent Logistik", "Recruiter")
_FIRST_ID = 1001


def family(tenant: Tenant, orders: int) -> Iterator[Row]:
    """All records of an integration with exactly so many orders."""
    packages = []
    for number, (name, kind) in enumerate(_PACKAGES, _FIRST_ID):
        package = tenant.make("assessment_packages")
        package.own |= {"id": str(number), "name": name, "type": kind}
        packages.append(package)
    yield from packages
    for _ in range(orders):
        yield tenant.make("assessment_orders", package=tenant.pick(packages))


def _assessment_packages(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    name, kind = tenant.pick(_PACKAGES)
    history = tenant.steady_history()
    return {
        **tenant.identity(seq),
        # Behind those of a new integration, whose ids are the same in each.
        "id": str(_FIRST_ID + len(_PACKAGES) + seq),
        "name": name,
        "description": tenant.pick(tenant.people.sentences),
        "updated_at": history["remote_updated_at"] if tenant.chance(0.8) else None,
        "type": kind,
        **history,
    }


def _assessment_orders(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    first, last, email = tenant.person()
    return {
        **tenant.identity(seq),
        "package_id": linked["package"]["id"],
        "status": tenant.pick(("OPEN", "COMPLETED", "COMPLETED", "CANCELLED", "REJECTED")),
        "candidate": {
            "remote_id": str(seq * 3) if tenant.chance(0.8) else None,
            "email": email,
            "first_name": first,
            "last_name": last,
            "phone": f"+49 30 9018{tenant.number(1000, 9999)}" if tenant.chance(0.5) else None,
        },
        "application": {"remote_id": str(seq * 5) if tenant.chance(0.8) else None},
        "job": _job(tenant, seq),
        **tenant.steady_history(),
    }


def _job(tenant: Tenant, seq: int) -> Record:
    first, last, email = tenant.person()
    role = tenant.pick(("RECRUITER", "HIRING_MANAGER"))
    member = {
        "remote_id": str(seq * 2) if tenant.chance(0.8) else None,
        "email": email,
        "first_name": first,
        "last_name": last,
        "hiring_team_roles": [role],
    }
    return {
        "remote_id": str(seq * 7) if tenant.chance(0.8) else None,
        "name": tenant.pick(_JOBS),
        "job_code": f"J-{seq:04d}" if tenant.chance(0.5) else None,
        "description": tenant.pick(tenant.people.sentences) if tenant.chance(0.5) else None,
        "location": tenant.address() if tenant.chance(0.7) else None,
        "hiring_team": [member] if tenant.chance(0.7) else [],
    }


MAKERS: dict[str, Maker] = {
    "assessment_packages": _assessment_packages,
    "assessment_orders": _assessment_orders,
}
