"""Assembles images from files alone: no daemon, no root, no download of the base."""
