"""Random specs and the golden ones, which lie outside this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

TOP = Path(__file__).parents[2]


def _load(path: Path) -> ModuleType:
    name = f"_loaded_{path.stem}"
    if name not in sys.modules:
        found = importlib.util.spec_from_file_location(name, path)
        assert found is not None
        assert found.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(found)
        found.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def random_specs() -> ModuleType:
    return _load(TOP / "tests/spec/strategies.py")


@pytest.fixture(scope="session")
def golden() -> ModuleType:
    return _load(TOP / "fixtures/golden/golden.py")


@pytest.fixture(scope="session")
def golden_specs(golden: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Every golden spec with its files."""
    folder = tmp_path_factory.mktemp("golden")
    golden.write_tree(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return golden.read()
