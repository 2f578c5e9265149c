"""What a user should know, said once in a process."""

from __future__ import annotations

import sys

_said: set[str] = set()


def say_once(text: str) -> None:
    """Write a line to standard error, unless it was written before."""
    if text not in _said:
        _said.add(text)
        sys.stderr.write(f"tasksdk: {text}\n")
