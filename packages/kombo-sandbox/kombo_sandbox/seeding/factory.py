"""Generation of one integration's records: the part that is common to all categories."""

import random
import unicodedata
from base64 import b64encode
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from kombo_sandbox.clock import iso
from kombo_sandbox.integrations import TOOLS, Integration
from kombo_sandbox.models import DELETED, LIVE, MODELS, SERVED, Model
from kombo_sandbox.seeding.names import (
    CITIES,
    FIRST_NAMES,
    LAST_NAMES,
    MAIL_DOMAINS,
    SENTENCES,
    STREETS,
)
from kombo_sandbox.store import Record, Row, Store

T = TypeVar("T")

HOUR = 3_600_000
DAY = 24 * HOUR
TWO_YEARS = 2 * 365 * DAY

_MOMENTS = 500
_VARIANTS = 20
_DELETED_SHARE = 0.03
# Kombo's ids have no characters that look alike.
_BASE58 = str.maketrans("0OIl+/", "123456")

_UNUSED_FIELDS = ("cost_code", "badge_number", "referred_by", "shirt_size", "works_council")


@dataclass(frozen=True)
class NewRecord:
    """The context in which the properties of a new record are generated.

    Attributes:
        seq: Its position in the list of the model.
        linked: Link -> the linked record, for each link that is set.
        created_at: `remote_created_at`.
        updated_at: `remote_updated_at`.
    """

    seq: int
    linked: Mapping[str, Record]
    created_at: str
    updated_at: str


class RecordFactory:
    """Generates the records of one integration; the same random numbers give the same records.

    A method with the name of a model returns the properties that are specific to this model.
    `values` adds ids, times and custom fields, which all models have.
    """

    def __init__(
        self, integration: Integration, *, store: Store, now: int, rng: random.Random
    ) -> None:
        self.rng = rng
        self._seed = store.setting("seed")
        self._integration = integration
        self._tool = TOOLS[integration.tool]
        self._today = now - now % DAY
        self._past = _moments(now)
        self._next = {name: store.last_seq(model) + 1 for name, model in MODELS.items()}
        self._extras: dict[str, list[Record]] = {}

    def records(self, size: int) -> Iterator[Row]:
        """Generate all records of an integration.

        They are yielded one by one, because a million records may not fit into memory.

        Args:
            size: The number of its offers, employees, learners or orders.
        """
        raise NotImplementedError

    def make(self, name: str, values: Record | None = None, /, **links: Row | None) -> Row:
        """Return a new record.

        Args:
            name: The model.
            values: Own properties, instead of random ones.
            links: Link -> the linked record.
        """
        model = MODELS[name]
        seq = self._next[name]
        self._next[name] = seq + 1
        own = self.values(model, seq, {link: row.own for link, row in links.items() if row})
        own |= values or {}
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
        """Return the own properties of a new record.

        Args:
            model: Its model.
            seq: Its position in the list of the model.
            linked: Link -> the linked record, for each link that is set.
        """
        # A record that was added with `put_raw` may lack any property.
        earlier = [bisect(self._past, str(one.get("remote_created_at"))) for one in linked.values()]
        created = self._later(max(earlier, default=0))
        updated = self._later(created)
        changed = self._past[min(updated + 1, _MOMENTS - 1)]
        is_deleted = model.seeded_deleted and self.chance(_DELETED_SHARE)
        new = NewRecord(seq, linked, self._past[created], self._past[updated])
        # Models without a method, such as memberships, have no specific properties.
        generate = getattr(self, model.id, None)
        extras = self._variants(model.id)[self.number(0, _VARIANTS)] if model.extras else {}
        values = {
            "id": self.kombo_id(),
            "remote_id": self._remote_id(seq),
            **{
                f"{link}_id": linked[link]["id"] if link in linked else None for link in model.links
            },
            **(generate(new) if generate else {}),
            **{name: extras[name] for name in model.extras},
            "changed_at": changed,
            "remote_deleted_at": changed if is_deleted else None,
            "remote_created_at": new.created_at,
            "remote_updated_at": new.updated_at,
        }
        for name in self._integration.unavailable_fields(model.id):
            values[name] = None
        return values

    # Fields that exist in the customer's tool, and custom fields that are mapped to them in Kombo.

    def field_records(self) -> Iterator[Row]:
        """Generate `integration_fields` and `custom_fields`, including some that are not used."""
        for model in SERVED:
            if model.category != self._tool.category or not model.has_custom_fields:
                continue
            variants = (one["integration_fields"] for one in self._variants(model.id))
            for used in max(variants, key=len):
                values = {name: used[name] for name in ("id", "key", "type", "label")}
                values |= {"model": model.id, "is_passthrough_enabled": True}
                field = self.make("integration_fields", values)
                yield field
                mapped = self._custom_field(model.id, used["key"])
                yield self.make("custom_fields", mapped, integration_field=field)
            for key in _UNUSED_FIELDS:
                unused = {"key": key, "model": model.id, "is_passthrough_enabled": False}
                yield self.make("integration_fields", unused)
            not_mapped = self._custom_field(model.id, "notice_period")
            yield self.make("custom_fields", not_mapped, integration_field=None)

    def _custom_field(self, model: str, key: str) -> Record:
        """Return the values of a custom field, which are the same in all integrations."""
        rng = random.Random(f"{self._seed}/{model}/{key}")
        return {
            "id": kombo_id(rng),
            "key": key,
            "model": model,
            "label": _label(key),
            "description": rng.choice([None, *SENTENCES]),
        }

    def integration_fields(self, _new: NewRecord) -> Record:
        key = f"field_{self.number(1, 10_000)}"
        return {
            "key": key,
            "model": "hris_employees",
            "type": self.pick(("DEFAULT", "CUSTOM")),
            "label": _label(key) if self.chance(0.8) else None,
            "is_passthrough_enabled": self.chance(0.5),
            "is_writable": False,
        }

    def custom_fields(self, new: NewRecord) -> Record:
        key = f"mapped_{self.number(1, 10_000)}"
        return {
            "key": key,
            "model": new.linked.get("integration_field", {}).get("model") or "hris_employees",
            "label": _label(key),
            "description": self.sentence() if self.chance(0.5) else None,
        }

    # Random values.

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.random() * len(choices))]

    def number(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high - 1`."""
        return low + int(self.rng.random() * (high - low))

    def named(self, names: Sequence[str]) -> str:
        """Return one of the names with a number, so that a change usually gives another name."""
        return f"{self.pick(names)} {self.number(1, 100)}"

    def sentence(self) -> str:
        return self.pick(SENTENCES)

    def soon(self) -> int:
        """Return a midnight in the next months, in milliseconds since 1970."""
        return self._today + self.number(0, 120) * DAY

    def ago(self, days: int) -> int:
        """Return a midnight in the past days, in milliseconds since 1970."""
        return self._today - self.number(0, days) * DAY

    def url(self, path: str, new: NewRecord) -> str:
        """Return the URL of the tool's page about a record."""
        return f"https://app.{self._integration.tool}.example/{path}/{new.seq}"

    def kombo_id(self) -> str:
        return kombo_id(self.rng)

    def address(self) -> Record:
        city, state, country, code = self.pick(CITIES)
        return {
            "city": city,
            "country": country,
            "raw": f"{city}, {country}",
            "state": state,
            "street_1": f"{self.pick(STREETS)} {self.number(1, 200)}" if self.chance(0.6) else None,
            "street_2": "2nd floor" if self.chance(0.3) else None,
            "zip_code": code,
        }

    def person(self) -> tuple[str, str, str]:
        """Return a first name, a last name and an email address at an example domain."""
        first, last = self.pick(FIRST_NAMES), self.pick(LAST_NAMES)
        name = _ascii(f"{first}.{last}".lower())
        return first, last, f"{name}{self.number(1, 999)}@{self.pick(MAIL_DOMAINS)}"

    def _remote_id(self, seq: int) -> str:
        if self._tool.remote_ids == "number":
            return str(4_000_000 + seq * 7)
        number = UUID(int=self.rng.getrandbits(128), version=4)
        return number.hex if self._tool.remote_ids == "hex" else str(number)

    def _later(self, first: int) -> int:
        return min(self.number(first, _MOMENTS), _MOMENTS - 1)

    def _variants(self, model: str) -> list[Record]:
        if model not in self._extras:
            # Not `self.rng`: the configuration of an integration must not differ by operation.
            rng = random.Random(f"{self._integration.id}/{model}")
            self._extras[model] = _extras(rng)
        return self._extras[model]


def kombo_id(rng: random.Random) -> str:
    """Return 24 characters, as in Kombo's ids."""
    return b64encode(rng.randbytes(18)).decode().translate(_BASE58)


@lru_cache(maxsize=1)
def _moments(now: int) -> list[str]:
    """Return times in the past two years; few, because records of the same sync share a time."""
    return [iso(now - TWO_YEARS + number * TWO_YEARS // _MOMENTS) for number in range(_MOMENTS)]


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain if letter.isalnum() or letter == ".")


def _label(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _extras(rng: random.Random) -> list[Record]:
    """Return variants of `custom_fields`, `integration_fields` and `remote_data`."""
    keys = ("cost_center", "bonus_percent", "visa_needed", "approval", "legacyReference")
    ids = {key: kombo_id(rng) for key in keys}
    variants = []
    for number in range(_VARIANTS):
        values: Record = {
            "cost_center": f"CC-{rng.randrange(1000, 9999)}",
            "bonus_percent": rng.choice([0, 5, 7.5, 12.25]),
            "visa_needed": rng.choice([True, False]),
            "approval": {"by": rng.choice(LAST_NAMES), "steps": ["HR", "Finance"]},
            "legacyReference": None,
        }
        shown = rng.sample(keys, k=(0, 0, 1, 2, 5)[number % 5])
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
                        "label": _label(key),
                    }
                    for key in shown
                ],
                "remote_data": remote_data if number % 3 == 1 else None,
            }
        )
    return variants
