"""What the user says: pure values, from the standard library alone."""
