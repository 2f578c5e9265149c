"""What an image is pinned to: the lock file beside a spec, as a value."""
