"""What a running task can know about itself."""
