"""A Kombo that costs next to nothing, so that what is measured is who reads it."""

from benchmarks.stand_in.handle import API_KEY, Counts, Shape, StandIn

__all__ = ["API_KEY", "Counts", "Shape", "StandIn"]
