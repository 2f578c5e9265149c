"""A home of its own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tasksdk.store.database import database

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def] # a generator fixture
    monkeypatch.setenv("TASKSDK_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    database().close()
