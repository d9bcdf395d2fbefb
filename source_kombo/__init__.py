"""Airbyte source for the Kombo unified API: tap-kombo in Airbyte's protocol."""
