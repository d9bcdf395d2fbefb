"""Kombo's errors: one table of codes, one envelope."""

import json
import secrets

# Kombo tells its clients to decide by the code: the statuses may change.
CODES = {
    "PLATFORM.AUTHENTICATION_INVALID": (401, "The API key is missing or wrong."),
    "PLATFORM.IP_NOT_WHITELISTED": (403, "This address may not use the API key."),
    "PLATFORM.INPUT_INVALID": (400, "The request is not valid."),
    "PLATFORM.INTEGRATION_NOT_FOUND": (404, "There is no such integration."),
    "PLATFORM.RATE_LIMIT_EXCEEDED": (429, "Too many requests."),
    "PLATFORM.UNKNOWN_ERROR": (500, "Something went wrong."),
    "INTEGRATION.AUTHENTICATION_INVALID": (400, "The tool refuses the credentials."),
    "INTEGRATION.PERMISSION_MISSING": (400, "The tool refuses access to the data."),
    "INTEGRATION.SETUP_INCOMPLETE": (409, "The integration is not set up yet."),
    "INTEGRATION.SETUP_SYNC_PENDING": (409, "The first sync is not finished yet."),
    "INTEGRATION.QA_FAILED": (409, "The integration is being checked."),
    "INTEGRATION.INACTIVE": (409, "The integration is switched off."),
    "INTEGRATION.MODEL_NOT_AVAILABLE": (400, "The integration has no such data model."),
    "INTEGRATION.MODEL_DISABLED": (400, "The data model is switched off."),
    "REMOTE.RATE_LIMIT_EXCEEDED": (429, "The tool got too many requests."),
    "REMOTE.SERVICE_UNAVAILABLE": (503, "The tool does not answer."),
}


class KomboError(Exception):
    """What Kombo answers instead of data."""

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or CODES[code][0]


def envelope(code: str | None, message: str, log_url: str | None = None) -> bytes:
    """Kombo's error as JSON; without a code it has neither a title nor a log page."""
    title = CODES.get(code, (0, "The request failed."))[1] if code else None
    if code and log_url is None:
        log_url = f"https://app.kombo.dev/env/production/logs/{secrets.token_hex(12)}"
    error = {"code": code, "title": title, "message": message, "log_url": log_url}
    return json.dumps({"status": "error", "error": error}).encode()
