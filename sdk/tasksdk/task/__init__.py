"""The hierarchy of tasks, and the pipeline that each of them runs through."""
