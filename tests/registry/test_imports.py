"""What a check costs to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import imagebuilder.registry as package


def test_a_check_imports_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules)\n"
        "import imagebuilder.registry.checker, imagebuilder.registry.client\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "imagebuilder" in loaded
    heavy = {
        "ssl",
        "http",
        "email",
        "urllib",
        "asyncio",
        "concurrent",
        "subprocess",
        "dataclasses",
        "inspect",
        "requests",
        "httpx",
        "urllib3",
        "tempfile",
        "logging",
    }
    assert not loaded & heavy


@pytest.mark.parametrize("name", package.__all__)
def test_every_name_is_there(name):
    assert getattr(package, name) is not None
    assert name in dir(package)


def test_no_other_name_is():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense
