"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Attributes:
    rounds: How often each run is repeated, the tools taking turns.
    records: How many offers the computing section reads.
    huge: The growth section goes up to ten million records.
    """

    rounds: int = 5
    records: int = 100_000
    huge: bool = False
