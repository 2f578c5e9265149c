"""What the user says about a task: pure values, from the standard library alone."""
