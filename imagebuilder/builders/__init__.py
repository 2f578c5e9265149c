"""Makes images: one port, and what stands behind it."""
