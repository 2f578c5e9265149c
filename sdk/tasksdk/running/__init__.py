"""Running tasks: here, on an engine, or both."""
