"""Filling the store: the same seed gives the same people, jobs and offers."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain

from kombo_sandbox import assessment, ats, connection, hris, lms
from kombo_sandbox.arguments import check_range
from kombo_sandbox.clock import Clock, iso
from kombo_sandbox.integrations import TOOLS, Integration
from kombo_sandbox.store import Row, Store
from kombo_sandbox.tenant import TWO_YEARS, Maker, People, Tenant, kombo_id

# How the records of each model are made, and how all those of an integration follow from its size:
# the number of its offers, employees, learners or orders.
_MAKERS: dict[str, Maker] = {
    **ats.MAKERS,
    **hris.MAKERS,
    **lms.MAKERS,
    **assessment.MAKERS,
    **connection.MAKERS,
}
_FAMILIES: dict[str, Callable[[Tenant, int], Iterator[Row]]] = {
    "ATS": ats.family,
    "HRIS": hris.family,
    "LMS": lms.family,
    "ASSESSMENT": assessment.family,
}

_LARGEST = 10_000_000


class Seeder:
    """Makes integrations and records for one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seed = int(store.setting("seed"))

    @cached_property
    def _people(self) -> People:
        return People(self._seed)

    def rng(self) -> random.Random:
        """Random numbers for one operation: new ones, but the same in each sandbox of this seed."""
        operation = int(self._store.setting("operations") or 0) + 1
        self._store.keep("operations", operation)
        return random.Random(f"{self._seed}/{operation}")

    def tenant(self, integration: Integration, now: int, rng: random.Random) -> Tenant:
        return Tenant(
            integration,
            makers=_MAKERS,
            people=self._people,
            store=self._store,
            now=now,
            rng=rng,
        )

    def add_integrations(
        self, sizes: Sequence[tuple[str, int]], tool: str | None = None
    ) -> list[Integration]:
        """Connect new integrations, each of a category, with that many of what it counts by."""
        if tool is not None and tool not in TOOLS:
            raise ValueError(f"there is no tool {tool}, but {', '.join(TOOLS)}")
        for _, size in sizes:
            check_range("the size of an integration", size, 0, _LARGEST)
        now = self._clock.now()
        first = max((one.seq for one in self._store.integrations.values()), default=0) + 1
        added = []
        for seq, (category, size) in enumerate(sizes, first):
            rng = self.rng()
            name = tool or self._next_tool(category)
            integration = Integration(
                seq=seq,
                id=f"{name}:{kombo_id(rng)}",
                tool=name,
                organization=rng.choice(self._people.companies),
                origin_id=f"customer-{seq}",
                created_at=iso(now - TWO_YEARS),
                withheld=dict(TOOLS[name].withholds),
            )
            self._store.save_integration(integration)
            family = _FAMILIES[category]
            tenant = self.tenant(integration, now, rng)
            self._store.load(chain(family(tenant, size), connection.family(tenant, category)))
            added.append(integration)
        self._store.settle(first)
        return added

    def _next_tool(self, category: str) -> str:
        """The tools of the category take turns."""
        tools = [name for name, tool in TOOLS.items() if tool.category == category]
        connected = [one for one in self._store.integrations.values() if one.tool in tools]
        return tools[len(connected) % len(tools)]
