"""One customer's connection as the maker of its records.

The module of each category of tools has a ``Maker`` for each model, which asks the ``Tenant`` for
what all records have in common: ids, times, custom fields, people, addresses.
"""

import random
import unicodedata
from base64 import b64encode
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from kombo_sandbox.clock import iso
from kombo_sandbox.integrations import TOOLS, Integration
from kombo_sandbox.models import MODELS, Model
from kombo_sandbox.store import DELETED, LIVE, Record, Row, Store

T = TypeVar("T")

# Makes the own properties of one record: for its place in the list, from the records behind its
# links.
Maker = Callable[["Tenant", int, Mapping[str, Record]], Record]

HOUR = 3_600_000
DAY = 24 * HOUR
TWO_YEARS = 2 * 365 * DAY

CITIES = (
    ("Berlin", "Berlin", "DE", "10115"),
    ("München", "Bayern", "DE", "80331"),
    ("London", "England", "GB", "EC1A 1BB"),
    ("Manchester", "England", "GB", "M1 1AE"),
    ("Paris", "Île-de-France", "FR", "75001"),
    ("Lyon", "Auvergne-Rhône-Alpes", "FR", "69001"),
    ("Zürich", "ZH", "CH", "8001"),
    ("Boston", "MA", "US", "02108"),
)
MAIL_DOMAINS = ("example.com", "example.org", "example.net")

_MOMENTS = 500
_VARIANTS = 20
_DELETED_SHARE = 0.03
# Kombo's ids have no letters that look alike.
_BASE58 = str.maketrans("0OIl+/", "123456")


class People:
    """Names for all integrations, made once: Faker is too slow to ask for each record."""

    def __init__(self, seed: int) -> None:
        from faker import Faker  # noqa: PLC0415 - half a second that a restart does not need

        fake = Faker(["en_GB", "de_DE", "fr_FR"])
        fake.seed_instance(seed)
        self.first_names = [fake.first_name() for _ in range(300)]
        self.last_names = [fake.last_name() for _ in range(500)]
        self.companies = [fake.company() for _ in range(200)]
        self.streets = [fake.street_address().replace("\n", ", ") for _ in range(200)]
        self.sentences = [fake["en_GB"].sentence(nb_words=12) for _ in range(200)]


class Tenant:
    """Makes records of one integration, the same for the same random numbers."""

    def __init__(
        self,
        integration: Integration,
        *,
        makers: Mapping[str, Maker],
        people: People,
        store: Store,
        now: int,
        rng: random.Random,
    ) -> None:
        self.people = people
        self.rng = rng
        self._integration = integration
        self._makers = makers
        self._remote_ids = TOOLS[integration.tool].remote_ids
        self._today = now - now % DAY
        self._past = _moments(now)
        self._next = {name: store.last_seq(model) + 1 for name, model in MODELS.items()}
        self._extras: dict[str, list[Record]] = {}
        self._missing: dict[str, Record] = {}
        for withheld in integration.withheld:
            model, _, field = withheld.partition(".")
            if field:
                self._missing.setdefault(model, {})[field] = None

    def make(self, name: str, **links: Row | None) -> Row:
        """A new record of the model, linked to the given ones."""
        model = MODELS[name]
        seq = self._next[name]
        self._next[name] = seq + 1
        own = self.values(model, seq, {link: row.own for link, row in links.items() if row})
        return Row(
            model=model,
            seq=seq,
            integration=self._integration.seq,
            own=own,
            touched_at=own["changed_at"],
            links={link: row.seq if row else None for link, row in links.items()},
            state=DELETED if own["remote_deleted_at"] else LIVE,
        )

    def values(self, model: Model, seq: int, linked: Mapping[str, Record]) -> Record:
        """Own properties, as a new record of the model would have them."""
        own = self._makers[model.id](self, seq, linked)
        return own | self._missing[model.id] if model.id in self._missing else own

    # What the makers choose from.

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.random() * len(choices))]

    def number(self, low: int, high: int) -> int:
        """A whole number from ``low`` to just below ``high``."""
        return low + int(self.rng.random() * (high - low))

    def soon(self) -> int:
        """A midnight in the next months, in milliseconds since 1970."""
        return self._today + self.number(0, 120) * DAY

    def ago(self, days: int) -> int:
        """A midnight in so many past days, in milliseconds since 1970."""
        return self._today - self.number(0, days) * DAY

    # What all records have.

    def kombo_id(self) -> str:
        return kombo_id(self.rng)

    def identity(self, seq: int) -> Record:
        """Kombo's id, and one as the tool writes it."""
        if self._remote_ids == "number":
            remote_id = str(4_000_000 + seq * 7)
        else:
            number = UUID(int=self.rng.getrandbits(128), version=4)
            remote_id = number.hex if self._remote_ids == "hex" else str(number)
        return {"id": kombo_id(self.rng), "remote_id": remote_id}

    def history(self, *linked: Record) -> Record:
        """When the tool and Kombo saw a record change that was made after the linked ones."""
        made = [bisect(self._past, str(one.get("remote_created_at"))) for one in linked]
        created = self._later(max(made, default=0))
        updated = self._later(created)
        changed = self._past[min(updated + 1, _MOMENTS - 1)]
        return {
            "changed_at": changed,
            "remote_deleted_at": changed if self.chance(_DELETED_SHARE) else None,
            "remote_created_at": self._past[created],
            "remote_updated_at": self._past[updated],
        }

    def steady_history(self) -> Record:
        """The same for what is hardly ever deleted."""
        return {**self.history(), "remote_deleted_at": None}

    def extras(self, model: str) -> Record:
        """``custom_fields``, ``integration_fields`` and ``remote_data`` of a record."""
        if model not in self._extras:
            # What the customer configured stays the same as long as the integration lives.
            settled = random.Random(f"{self._integration.id}/{model}")
            self._extras[model] = _extras(settled, self.people)
        return self.pick(self._extras[model])

    def customised(self, model: str) -> Record:
        """The same as properties in their usual order."""
        extras = self.extras(model)
        return {
            "custom_fields": extras["custom_fields"],
            "integration_fields": extras["integration_fields"],
            "remote_data": extras["remote_data"],
        }

    def customisable(self, model: str) -> list[Record]:
        """The fields that the customer's records of a model can have, each with a sample value."""
        self.extras(model)
        fullest = max(self._extras[model], key=lambda one: len(one["integration_fields"]))
        fields: list[Record] = fullest["integration_fields"]
        return fields

    def remote_data(self, seq: int) -> Record | None:
        """What the tool itself answered, where the customer lets it through."""
        return {"id": seq, "raw": {"_type": self._integration.tool}} if seq % 5 == 1 else None

    # People and places.

    def link(self, *parts: str) -> str:
        """A page of the tool."""
        return "/".join((f"https://app.{self._integration.tool}.example", *parts))

    def address(self) -> Record:
        city, state, country, code = self.pick(CITIES)
        return {
            "city": city,
            "country": country,
            "raw": f"{city}, {country}",
            "state": state,
            "street_1": self.pick(self.people.streets) if self.chance(0.6) else None,
            "street_2": "2nd floor" if city == "London" else None,
            "zip_code": code,
        }

    def person(self) -> tuple[str, str, str]:
        """First name, last name and an e-mail address at an example domain."""
        first, last = self.pick(self.people.first_names), self.pick(self.people.last_names)
        name = _mailbox(f"{first}.{last}")
        return first, last, f"{name}{self.number(1, 999)}@{self.pick(MAIL_DOMAINS)}"

    def _later(self, first: int) -> int:
        return min(self.number(first, _MOMENTS), _MOMENTS - 1)


def membership(tenant: Tenant, _seq: int, _linked: Mapping[str, Record]) -> Record:
    """The maker of what only links other records."""
    return {"id": tenant.kombo_id(), **tenant.steady_history()}


def kombo_id(rng: random.Random) -> str:
    """24 characters as Kombo uses them."""
    return b64encode(rng.randbytes(18)).decode().translate(_BASE58)


@lru_cache(maxsize=1)
def _moments(now: int) -> list[str]:
    """The past two years, as Kombo writes times: records of one sync share a moment."""
    return [iso(now - TWO_YEARS + number * TWO_YEARS // _MOMENTS) for number in range(_MOMENTS)]


@lru_cache(maxsize=10_000)
def _mailbox(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain if letter.isalnum() or letter == ".")


def _extras(rng: random.Random, people: People) -> list[Record]:
    ids = {
        key: kombo_id(rng)
        for key in ("cost_center", "bonus_percent", "visa_needed", "approval", "legacyReference")
    }
    variants = []
    for number in range(_VARIANTS):
        values: Record = {
            "cost_center": f"CC-{rng.randrange(1000, 9999)}",
            "bonus_percent": rng.choice([0, 5, 7.5, 12.25]),
            "visa_needed": rng.choice([True, False]),
            "approval": {"by": rng.choice(people.last_names), "steps": ["HR", "Finance"]},
            "legacyReference": None,
        }
        shown = rng.sample(sorted(values), k=(0, 0, 1, 2, 5)[number % 5])
        remote_data = {"id": number, "raw": {"revision": rng.randrange(9), "flags": []}}
        variants.append(
            {
                "custom_fields": {key: values[key] for key in shown} if number else None,
                "integration_fields": [
                    {
                        "id": ids[key],
                        "key": key,
                        "type": "DEFAULT" if key == "legacyReference" else "CUSTOM",
                        "value": values[key],
                        "label": key.replace("_", " ").capitalize(),
                    }
                    for key in shown
                ],
                "remote_data": remote_data if number % 10 == 1 else None,
            }
        )
    return variants
