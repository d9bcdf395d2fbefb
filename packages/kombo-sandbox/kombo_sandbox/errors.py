"""Kombo's errors: codes and the envelope."""

import json
import secrets

# Kombo asks clients to rely on the code, because the status may change.
CODES = {
    "PLATFORM.AUTHENTICATION_INVALID": (401, "The API key is missing or wrong."),
    "PLATFORM.IP_NOT_WHITELISTED": (403, "This IP address may not use the API key."),
    "PLATFORM.INPUT_INVALID": (400, "The request is not valid."),
    "PLATFORM.INTEGRATION_NOT_FOUND": (404, "The integration was not found."),
    "PLATFORM.RATE_LIMIT_EXCEEDED": (429, "Too many requests."),
    "PLATFORM.UNKNOWN_ERROR": (500, "An unknown error occurred."),
    "INTEGRATION.AUTHENTICATION_INVALID": (400, "The tool rejects the credentials."),
    "INTEGRATION.PERMISSION_MISSING": (400, "The tool denies access to the data."),
    "INTEGRATION.SETUP_INCOMPLETE": (409, "The setup of the integration is incomplete."),
    "INTEGRATION.SETUP_SYNC_PENDING": (409, "The first sync is not finished yet."),
    "INTEGRATION.QA_FAILED": (409, "The integration is being checked."),
    "INTEGRATION.INACTIVE": (409, "The integration is inactive."),
    "INTEGRATION.MODEL_NOT_AVAILABLE": (400, "The tool does not have this model."),
    "INTEGRATION.MODEL_DISABLED": (400, "The model is disabled."),
    "REMOTE.RATE_LIMIT_EXCEEDED": (429, "The tool received too many requests."),
    "REMOTE.SERVICE_UNAVAILABLE": (503, "The tool does not respond."),
}


class KomboError(Exception):
    """An error response of Kombo."""

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or CODES[code][0]


def envelope(code: str | None, message: str, log_url: str | None = None) -> bytes:
    """Return Kombo's error as JSON; without a code, title and log URL are null."""
    title = CODES.get(code, (0, "The request failed."))[1] if code else None
    if code and log_url is None:
        log_url = f"https://app.kombo.dev/env/production/logs/{secrets.token_hex(12)}"
    error = {"code": code, "title": title, "message": message, "log_url": log_url}
    return json.dumps({"status": "error", "error": error}).encode()
