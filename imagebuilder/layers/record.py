"""RECORD: the files of an installed distribution with their digests (PyPA "Recording installed projects")."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
from typing import TYPE_CHECKING, Final, NamedTuple

from imagebuilder.layers.zip_directory import BadZipError

if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTHS: Final = {"sha256": 32, "sha384": 48, "sha512": 64}  # PEP 427: sha256 or better


class Row(NamedTuple):
    """One file; `algorithm` is empty where none is given, `size` is None."""

    path: str
    algorithm: str
    digest: bytes
    size: int | None

    @classmethod
    def of(cls, path: str, content: bytes) -> Row:
        """The row of some bytes."""
        return cls(path, "sha256", hashlib.sha256(content).digest(), len(content))


def parse(content: bytes) -> dict[str, Row]:
    """The rows by path.

    Raises:
        BadZipError: it is not such a file, or names a path twice.
    """
    rows: dict[str, Row] = {}
    try:
        for fields in csv.reader(io.StringIO(content.decode(), newline=""), strict=True):
            if not fields:
                continue
            row = _row(fields)
            if row.path in rows:
                raise BadZipError(f"its RECORD lists {row.path!r} twice")
            rows[row.path] = row
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadZipError(f"its RECORD cannot be read: {error}") from None
    return rows


def render(rows: Iterable[Row]) -> bytes:
    """The file of some rows, in the order of their paths."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in sorted(rows):
        digest = base64.urlsafe_b64encode(row.digest).rstrip(b"=").decode()
        hashed = f"{row.algorithm}={digest}" if row.algorithm else ""
        writer.writerow((row.path, hashed, "" if row.size is None else str(row.size)))
    return text.getvalue().encode()


def _row(fields: list[str]) -> Row:
    if len(fields) != 3:
        raise BadZipError(f"its RECORD has a row of {len(fields)} fields: {','.join(fields)[:200]!r}")
    path, hashed, size = fields
    if size and not (size.isascii() and size.isdigit()):
        raise BadZipError(f"its RECORD says that {path!r} has {size[:40]!r} bytes")
    count = int(size[:20]) if size else None
    if not hashed:
        return Row(path, "", b"", count)
    algorithm, _, text = hashed.partition("=")
    try:
        digest = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _LENGTHS.get(algorithm):
        raise BadZipError(f"its RECORD gives {path!r} a digest that is not sha256 or better: {hashed[:100]!r}")
    return Row(path, algorithm, digest, count)
