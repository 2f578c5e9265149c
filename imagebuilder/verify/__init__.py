"""Whether a pushed image is what its spec and lock make: derived anew, pushed nowhere, compared."""
