"""Kombo's data models, as one table."""

from kombo_sandbox.models import assessment, ats, connection, hris, lms
from kombo_sandbox.models.model import (
    ANONYMIZED,
    CATEGORIES,
    DELETED,
    FORGOTTEN,
    LIVE,
    Listing,
    Model,
    Nested,
    NestedList,
    NestedObject,
)

__all__ = [
    "ANONYMIZED",
    "CATEGORIES",
    "DELETED",
    "FORGOTTEN",
    "LIVE",
    "MODELS",
    "SERVED",
    "Listing",
    "Model",
    "Nested",
    "NestedList",
    "NestedObject",
]

MODELS: dict[str, Model] = {
    model.id: model
    for category in (ats, hris, lms, assessment, connection)
    for model in category.MODELS
}
SERVED = tuple(model for model in MODELS.values() if model.served)
