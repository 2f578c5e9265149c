"""How the files of the task SDK are kept: their names and lengths, then what they hold, quick to take apart."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def pack(files: Mapping[str, bytes]) -> bytes:
    """Files by their path, as one."""
    body = b"".join(files.values())
    head = {"files": [(path, len(data)) for path, data in files.items()], "crc32": zlib.crc32(body)}
    return json.dumps(head).encode() + b"\n" + body


def unpack(packed: bytes) -> dict[str, bytes] | None:
    """The files; None where they are damaged."""
    line, _, body = packed.partition(b"\n")
    try:
        head = json.loads(line)
        if head["crc32"] != zlib.crc32(body):
            return None
        files, at = {}, 0
        for path, size in head["files"]:
            files[str(path)] = body[at : at + size]
            at += size
    except (ValueError, KeyError, TypeError):
        return None
    return files
