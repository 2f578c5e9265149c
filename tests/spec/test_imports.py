"""Writing a spec costs an import of the standard library's light half, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import imagebuilder

_SPEC = """
Image.from_debian_base((3, 11)).with_pip_packages("numpy").with_env_vars({"A": "1"}).with_source_folder("x", "/app")
"""
_HEAVY = {
    *("dataclasses", "inspect", "asyncio", "pathlib", "urllib.parse", "shlex", "json", "subprocess", "hashlib"),
    *("tomllib", "tomli", "logging"),
}
_OURS = {"imagebuilder", "imagebuilder.errors", "imagebuilder.spec"}


@pytest.mark.parametrize("code", ["import imagebuilder", "from imagebuilder import Image, Secret" + _SPEC])
def test_a_spec_needs_the_light_half_of_the_standard_library_alone(code):
    top = str(Path(imagebuilder.__file__).parents[1])
    program = f"import sys; sys.path.append({top!r}); before = set(sys.modules)\n{code}\n"
    program += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.split(".")[0] == "imagebuilder"}
    foreign = {name.split(".")[0] for name in loaded - ours} - set(sys.stdlib_module_names)
    assert foreign == set()
    assert not loaded & _HEAVY
    assert {name for name in ours if not name.startswith("imagebuilder.spec.")} <= _OURS


def test_what_building_needs_is_reached_from_the_top():
    assert imagebuilder.ImageBuilderError.__name__ == "ImageBuilderError"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        imagebuilder.nothing  # noqa: B018
