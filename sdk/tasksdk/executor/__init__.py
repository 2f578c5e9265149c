"""Runs one task in a container: what the image's default layer is there for."""
