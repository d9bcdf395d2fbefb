"""Kombo's models: one row each."""

from kombo_sandbox.models import assessment, ats, connection, hris, lms
from kombo_sandbox.models.row import CATEGORIES, Listing, Many, Model, One, Shape

__all__ = ["CATEGORIES", "MODELS", "SERVED", "Listing", "Many", "Model", "One", "Shape"]

_ROWS = (*ats.ROWS, *hris.ROWS, *lms.ROWS, *assessment.ROWS, *connection.ROWS)

MODELS = {row.id: row for row in _ROWS}
SERVED = tuple(row for row in _ROWS if row.served)
