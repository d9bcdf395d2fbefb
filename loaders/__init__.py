"""Other loaders than target-postgres, fed by the real tap: `make test-loaders`."""
