"""Tasks that need no code of their users': each with the executor that runs in its image."""
