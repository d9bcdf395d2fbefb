"""Singer tap for the Kombo unified API."""
