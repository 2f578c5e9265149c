"""A home of its own for each test."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tasksdk.store.database import database

TOP = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def] # a generator fixture
    monkeypatch.setenv("TASKSDK_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    database().close()


@pytest.fixture
def sdk_wheels(tmp_path: Path) -> Path:
    """The wheels of this checkout, in a folder beside the test's modules."""
    folder = tmp_path / "wheels"
    for project in (TOP, TOP / "sdk"):
        command = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(project)]
        subprocess.run(command, check=True)
    (folder / ".gitignore").unlink(missing_ok=True)
    return folder
