"""A registry in memory, for tests: what distribution does, and faults on request."""
