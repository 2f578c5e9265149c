"""Where an image can go besides a registry: Docker, an OCI layout, an archive."""
