"""Singer tap for the Kombo unified API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_kombo.tap import TapKombo

__all__ = ["TapKombo"]


def __getattr__(name: str) -> Any:
    """Import the tap when it is used: the command handles signals before the SDK's long import."""
    if name == "TapKombo":
        from tap_kombo.tap import TapKombo  # noqa: PLC0415

        return TapKombo
    raise AttributeError(name)
