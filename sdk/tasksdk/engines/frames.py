"""What a client and a live worker say to each other, over the worker's standard input and output.

A frame is its kind, four bytes of length, and its data. A request is a JSON object with `argv`, the executor's
arguments, and `env`, the variables of this attempt alone. The worker answers that it took it, then what the task
writes, then the end: a JSON object with the exit `code`, whether the task was killed for its `memory`, and whether the
worker ends with it (`last`).
"""

from __future__ import annotations

REQUEST, TAKEN, STDOUT, STDERR, DONE = b"r", b"t", b"o", b"e", b"d"
WORKER = "--worker"
HEAD = 5


def frame(kind: bytes, data: bytes = b"") -> bytes:
    """One frame."""
    return kind + len(data).to_bytes(HEAD - 1, "big") + data


def kind_and_length(head: bytes) -> tuple[bytes, int]:
    """What the first bytes of a frame say of it."""
    return head[:1], int.from_bytes(head[1:HEAD], "big")
