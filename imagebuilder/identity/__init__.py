"""Turns what a spec means into a content address, and tells why two differ."""
