"""Decides, without touching anything, which operations make an image, and writes them as a Dockerfile."""
