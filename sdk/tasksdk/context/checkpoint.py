"""What a task keeps for its next attempt."""

from __future__ import annotations


class Checkpoint:
    """Bytes that the next attempt of the same action can load; at paths or URLs."""

    __slots__ = ("path", "previous")

    def __init__(self, path: str, previous: str | None = None) -> None:
        self.path = path
        self.previous = previous

    def save(self, data: bytes | str) -> None:
        """Keep `data` in place of what was kept before; either wholly or not at all."""
        from tasksdk.types import storage

        storage.write(self.path, data.encode() if isinstance(data, str) else data)

    def load(self) -> bytes | None:
        """What this attempt kept, else what the last one did; None when neither did."""
        from tasksdk.types import storage

        for path in (self.path, self.previous):
            if path is not None and storage.exists(path):
                return storage.read(path)
        return None

    write = save
    read = load

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r})"
