"""The orders in which a list can return its records. Kombo does not document an order.

If records are ordered by their latest change, a change moves a record to another page: a client
that is reading the list can miss the record or receive it twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Position = Sequence[int | str]
"""The position of a record in an order: the values of the order's keys"""


@dataclass(frozen=True)
class Order:
    """An order of records.

    Attributes:
        name: Its name in the control API.
        keys: SQL over the row `r`; together they are unique.
        descending: The largest keys are first.
    """

    name: str
    keys: tuple[str, ...]
    descending: bool = False

    def after(self, position: Position) -> tuple[str, Mapping[str, int | str]]:
        """Return the SQL condition for rows after a position, and its values."""
        values = {f"position_{number}": value for number, value in enumerate(position)}
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
        # Multiplying by an odd number permutes the integers below 2**32.
        Order("shuffled", ("r.seq * 2654435761 % 4294967296",)),
        Order("latest change first", ("r.touched_at", "r.seq"), descending=True),
        Order("latest change last", ("r.touched_at", "r.seq")),
    )
}
