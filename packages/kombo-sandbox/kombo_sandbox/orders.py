"""The orders in which lists can give their records: Kombo promises none.

Some move records from page to page while a list is read: what a reader passed by already can come
again, and what was still ahead of it can be behind it now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Place = Sequence[int | str]
"""Where a record stands in an order: the values of the order's keys."""


@dataclass(frozen=True)
class Order:
    """Attributes:
    keys: SQL over the row ``r``; all together they are different for each record.
    """

    name: str
    keys: tuple[str, ...]
    descending: bool = False

    def behind(self, place: Place) -> tuple[str, Mapping[str, int | str]]:
        """SQL that is true for the rows behind a place, and its values."""
        values = {f"place_{number}": value for number, value in enumerate(place)}
        marks = ", ".join(f":{name}" for name in values)
        than = "<" if self.descending else ">"
        return f"({', '.join(self.keys)}) {than} ({marks})", values

    @property
    def sql(self) -> str:
        direction = " DESC" if self.descending else ""
        return ", ".join(f"{key}{direction}" for key in self.keys)


OLDEST_FIRST = Order("oldest first", ("r.seq",))

ORDERS = {
    order.name: order
    for order in (
        OLDEST_FIRST,
        # Multiplied by an odd number, each place goes to another one.
        Order("shuffled", ("r.seq * 2654435761 % 4294967296",)),
        Order("latest change first", ("r.touched_at", "r.seq"), descending=True),
        Order("latest change last", ("r.touched_at", "r.seq")),
    )
}
