"""What outlives a process: the record of runs, and kept results."""
