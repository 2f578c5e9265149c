"""What a task keeps for its next attempt."""

from __future__ import annotations

import os


class Checkpoint:
    """Bytes that the next attempt of the same action can load; both folders are local paths."""

    __slots__ = ("path", "previous")

    def __init__(self, path: str, previous: str | None = None) -> None:
        self.path = path
        self.previous = previous

    def save(self, data: bytes | str) -> None:
        """Keep `data` in place of what was kept before; either wholly or not at all."""
        from pathlib import Path

        target = Path(self.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        partial.write_bytes(data.encode() if isinstance(data, str) else data)
        partial.replace(target)

    def load(self) -> bytes | None:
        """What this attempt kept, else what the last one did; None when neither did."""
        from pathlib import Path

        for path in (self.path, self.previous):
            if path is not None and Path(path).is_file():
                return Path(path).read_bytes()
        return None

    write = save
    read = load

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r})"
