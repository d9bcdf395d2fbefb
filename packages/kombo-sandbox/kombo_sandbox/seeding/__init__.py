"""Generation of integrations and records: the same seed gives the same data."""

import random
from collections.abc import Sequence
from itertools import chain

from kombo_sandbox.clock import Clock, iso
from kombo_sandbox.integrations import TOOLS, Integration
from kombo_sandbox.seeding.assessment import AssessmentFactory
from kombo_sandbox.seeding.ats import AtsFactory
from kombo_sandbox.seeding.factory import TWO_YEARS, RecordFactory, kombo_id
from kombo_sandbox.seeding.hris import HrisFactory
from kombo_sandbox.seeding.lms import LmsFactory
from kombo_sandbox.seeding.names import COMPANIES
from kombo_sandbox.store import Store

_FACTORIES: dict[str, type[RecordFactory]] = {
    "ATS": AtsFactory,
    "HRIS": HrisFactory,
    "LMS": LmsFactory,
    "ASSESSMENT": AssessmentFactory,
}
_MAX_SIZE = 10_000_000


class Seeder:
    """Adds integrations and their records to a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seed = int(store.setting("seed"))

    def rng(self) -> random.Random:
        """Return a random generator for the next operation, which depends only on the seed."""
        operation = int(self._store.setting("operations") or 0) + 1
        self._store.save_setting("operations", operation)
        return random.Random(f"{self._seed}/{operation}")

    def factory(self, integration: Integration, now: int, rng: random.Random) -> RecordFactory:
        """Return the factory for an integration."""
        category = TOOLS[integration.tool].category
        return _FACTORIES[category](integration, store=self._store, now=now, rng=rng)

    def add_integrations(
        self, sizes: Sequence[tuple[str, int]], tool: str | None = None, now: int | None = None
    ) -> list[Integration]:
        """Add integrations with their records.

        Args:
            sizes: The category and the size of each integration.
            tool: The tool of all integrations; by default the tools of the category take turns.
            now: The time before which the records were created; by default the current time.
        """
        if tool is not None and tool not in TOOLS:
            raise ValueError(f"tool: {tool!r} is not one of {', '.join(TOOLS)}")
        for _, size in sizes:
            if not 0 <= size <= _MAX_SIZE:
                raise ValueError(f"the size of an integration must be between 0 and {_MAX_SIZE:,}")
        now = self._clock.now() if now is None else now
        first = max((one.seq for one in self._store.integrations.values()), default=0) + 1
        added = []
        for seq, (category, size) in enumerate(sizes, first):
            rng = self.rng()
            name = tool or self._next_tool(category)
            integration = Integration(
                seq=seq,
                id=f"{name}:{kombo_id(rng)}",
                tool=name,
                organization=rng.choice(COMPANIES),
                origin_id=f"customer-{seq}",
                created_at=iso(now - TWO_YEARS),
                unavailable=dict(TOOLS[name].unavailable),
            )
            self._store.save_integration(integration)
            factory = self.factory(integration, now, rng)
            self._store.load(chain(factory.records(size), factory.field_records()))
            added.append(integration)
        self._store.finish_loading(first)
        return added

    def _next_tool(self, category: str) -> str:
        tools = [name for name, tool in TOOLS.items() if tool.category == category]
        connected = [one for one in self._store.integrations.values() if one.tool in tools]
        return tools[len(connected) % len(tools)]
