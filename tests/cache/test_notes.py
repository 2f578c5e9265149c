from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base_memory import BaseMemory
from imagebuilder.cache.notes import read_note, write_note
from imagebuilder.registry.descriptor import sha256

if TYPE_CHECKING:
    from pathlib import Path


def test_a_note_is_replaced_whole_and_reading_is_using(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "note"
    assert read_note(path, 100) is None
    assert write_note(path, b"one")
    assert write_note(path, b"two")
    os.utime(path, (0, 0))
    assert read_note(path, 3) == b"two"
    assert path.stat().st_mtime > 0
    assert read_note(path, 2) is None
    assert [found.name for found in path.parent.iterdir()] == ["note"]


def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    assert not write_note(tmp_path / "file" / "note", b"x")
    assert not write_note(tmp_path, b"x")
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_documents_of_bases_are_never_trusted_without_their_digest(tmp_path: Path) -> None:
    memory, content = BaseMemory(tmp_path / "bases"), b'{"a": 1}'
    memory.remember(sha256(content), content)
    assert memory.recall(sha256(content)) == content
    assert memory.recall(sha256(b"other")) is None
    assert memory.recall("../../etc/passwd") is None
    (note,) = (tmp_path / "bases").iterdir()
    for damage in (b"", b'{"a": 2}', content + b" "):
        note.write_bytes(damage)
        assert memory.recall(sha256(content)) is None
