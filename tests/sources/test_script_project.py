"""Scripts: the metadata block as a project that the real uv locks and syncs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from imagebuilder import Image
from imagebuilder.errors import SecretError, SourceError, SpecError
from imagebuilder.sources import Sources
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.read import read_materials
from imagebuilder.spec.python_version import running

if TYPE_CHECKING:
    from imagebuilder.sources.materials import Materials

BACKEND = """
import pathlib, zipfile

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(pathlib.Path(folder, "lib-1.0-py3-none-any.whl"), "w") as file:
        file.writestr("lib-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: lib\\nVersion: 1.0\\n")
        file.writestr("lib-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr("lib-1.0.dist-info/RECORD", "")
    return "lib-1.0-py3-none-any.whl"
"""
LIB = {
    "lib/backend.py": BACKEND,
    "lib/pyproject.toml": '[project]\nname = "lib"\nversion = "1.0"\n[build-system]\nrequires = []\n'
    'build-backend = "backend"\nbackend-path = ["."]\n',
}


def script(*block: str, body: str = "print()\n") -> str:
    lines = "".join(f"# {line}".rstrip() + "\n" for line in block)
    return f"#!/usr/bin/env python\n# /// script\n{lines}# ///\n{body}"


def read_all(path: Path, **options: object) -> Materials:
    asked = []

    def python_for(requires: str | None, name: str) -> tuple[int, int]:
        asked.append((requires, name))
        return (3, 11)

    materials = read_materials(Image.from_uv_script(path, **options), Sources(), python_for)
    assert all(name == str(path) for _, name in asked)
    return materials


def read(path: Path, **options: object) -> Material:
    material = read_all(path, **options).base
    assert material is not None
    return material


def staged(path: Path) -> str:
    piece = dict(read(path).pieces)["pyproject.toml"]
    assert isinstance(piece, Text)
    return piece.data.decode()


def test_the_block_becomes_a_project(make_tree):
    block = (
        "# a comment",
        'requires-python = ">=3.9"',
        "",
        'dependencies = ["b>=2", "a"]  # why',
        "[tool.uv]",
        'exclude-newer = "2024-01-01T00:00:00Z"',
        "[[tool.uv.index]]",
        'url = "https://h/simple"',
        "[tool.ruff]",
        "line-length = 100",
    )
    path = make_tree({"s.py": script(*block)}) / "s.py"
    assert read(path).entry == ""
    assert staged(path) == (
        '[project]\ndependencies = ["b>=2", "a"]\nname = "script"\nrequires-python = ">=3.9"\nversion = "0"\n'
        '[tool.uv]\nexclude-newer = "2024-01-01T00:00:00Z"\n[[tool.uv.index]]\nurl = "https://h/simple"\n'
    )


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        (script('dependencies = ["x"]', body="other()\n"), False),
        (script("# c", "", 'dependencies = [  "x" ] # c'), False),
        (script('dependencies = ["x"]', "[tool.other]", "a = 1"), False),
        (script('dependencies = ["x"]').replace("\n", "\r\n"), False),
        (script('dependencies = ["x"]', 'requires-python = ">=3.11"'), False),
        (script('dependencies = ["x", "y"]'), True),
        (script('dependencies = ["x"]', 'requires-python = ">=3.10"'), True),
        (script('dependencies = ["x"]', "[tool.uv]", 'prerelease = "allow"'), True),
    ],
)
def test_only_what_the_block_means_counts(make_tree, other: str, counts: bool):
    root = make_tree({"here/one.py": script('dependencies = ["x"]'), "there/other.py": other})
    assert (read(root / "here/one.py").digest != read(root / "there/other.py").digest) == counts


def test_the_python_is_given_or_decided_by_requires_python(make_tree):
    path = make_tree({"s.py": script('requires-python = ">=3.10,<3.13"')}) / "s.py"
    assert read_all(path).python_version == (3, 11)
    assert read_all(path, python_version="3.12").python_version == (3, 12)


def test_a_python_that_requires_python_does_not_admit_is_refused(make_tree):
    path = make_tree({"s.py": script('requires-python = ">=3.12"')}) / "s.py"
    with pytest.raises(
        SpecError, match=r'python_version="3\.10" does not satisfy requires-python = ">=3\.12" of .*s\.py'
    ):
        read(path, python_version="3.10")


def test_without_requires_python_the_chosen_one_is_written(make_tree):
    path = make_tree({"s.py": script("dependencies = []")}) / "s.py"
    assert 'requires-python = ">=3.11"' in staged(path)


def test_local_sources_are_staged_and_their_places_do_not_count(make_tree):
    def tree(place: str) -> dict[str, str | None]:
        block = (
            'dependencies = ["lib"]',
            "[tool.uv]",
            f'find-links = ["{place}links"]',
            "[tool.uv.sources]",
            f'lib = [{{ path = "{place}lib", editable = true, marker = "python_version > \'3\'" }}]',
            f'w = {{ path = "{place}w-1-py3-none-any.whl" }}',
            "[[tool.uv.index]]",
            f'url = "{place}links"',
        )
        files = {**LIB, "links/": None, "w-1-py3-none-any.whl": "w"}
        return {"in/s.py": script(*block), **{f"in/{place}{name}": content for name, content in files.items()}}

    path = make_tree(tree("./"), "one") / "in/s.py"
    text = staged(path)
    assert 'path = "local-1"' in text
    assert "editable" not in text
    assert 'path = "local-2/w-1-py3-none-any.whl"' in text
    assert 'find-links = ["./links-1"]' in text
    assert 'url = "./links-1"' in text
    assert [at for at, _ in read(path).pieces] == [
        "links-1",
        "local-1",
        "local-2/w-1-py3-none-any.whl",
        "pyproject.toml",
    ]
    same = make_tree(tree("../x/"), "two") / "in/s.py"
    assert read(same).digest == read(path).digest
    (path.parent / "lib/backend.py").write_text("changed")
    assert read(same).digest != read(path).digest


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('[tool.uv.sources]\n# lib = { path = "gone" }', "/gone does not exist"),
        ('[tool.uv.sources]\n# lib = { path = "plain" }', "/plain is not a Python project"),
        ('dependencies = ["lib @ file:///opt/lib"]', "a place that no image has"),
    ],
)
def test_a_local_source_that_cannot_be_staged_is_named(make_tree, line: str, message: str):
    path = make_tree({"s.py": script(line), "plain/": None}) / "s.py"
    with pytest.raises(SourceError, match=message):
        read(path)


@pytest.mark.parametrize("line", ['[[tool.uv.index]]\n# url = "{}h/s"', 'dependencies = ["x @ {}h/x.whl"]'])
def test_credentials_are_refused_and_never_shown(make_tree, line: str):
    path = make_tree({"s.py": script(line.format("https://user:hunter2@"))}) / "s.py"
    with pytest.raises(SecretError, match=r"s\.py, line [34]: .*://\*\*\*@h") as caught:
        read(path)
    assert "hunter2" not in str(caught.value)
    assert "index_url" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["print()", script("dependencies = ["), script("dependencies = 3")])
def test_a_script_without_a_sound_block_is_refused(make_tree, text: str):
    path = make_tree({"s.py": text}) / "s.py"
    with pytest.raises(SpecError, match=r"from_uv_script\('.*s\.py'\): .*s\.py"):
        read(path)


def test_a_missing_script_is_named_in_full(monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=rf"from_uv_script\('s\.py'\): {tmp_path}/s\.py does not exist"):
        read(Path("s.py"))


def test_uv_locks_and_syncs_the_project(make_tree, tmp_path: Path):
    block = ('dependencies = ["lib"]', "[tool.uv.sources]", 'lib = { path = "lib", editable = true }')
    major, minor = running()
    path = make_tree({"s.py": script(*block), **LIB}) / "s.py"
    read(path, python_version=f"{major}.{minor}").write(tmp_path / "out")
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_OFFLINE": "1",
        "UV_PYTHON": sys.executable,
    }
    for arguments in (
        ["lock"],
        ["sync", "--frozen", "--inexact", "--no-default-groups", "--no-editable", "--no-install-project"],
    ):
        done = subprocess.run(
            [find_uv_bin(), *arguments],
            cwd=tmp_path / "out",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    assert "+ lib==1.0" in done.stderr
