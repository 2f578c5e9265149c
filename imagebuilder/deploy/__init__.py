"""Registries that are to hold images: what a deploy file lists, and making it so."""
