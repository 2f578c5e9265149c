"""Where attempts of tasks run: one port, several implementations."""
