"""Trees in a few words, and a guard against hanging."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

MakeTree = Callable[..., Path]


def _make(root: Path, tree: Mapping[str, str | bytes | None]) -> Path:
    """`a/`: an empty folder; `a*`: an executable file; `a@`: a link to the value; else a file of that content."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in tree.items():
        path = root / name.rstrip("/*@")
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        elif name.endswith("@"):
            os.symlink(content, path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            path.chmod(0o755 if name.endswith("*") else 0o644)
    return root


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    return lambda tree, name="tree": _make(tmp_path / name, tree)


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """A test that waits for a FIFO's other end fails instead."""

    def stop(*_: object) -> None:
        raise TimeoutError("the test hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
