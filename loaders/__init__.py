"""Syncs from the real tap with many loaders: `make test-loaders`."""
