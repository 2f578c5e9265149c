"""Lock files of PEP 751."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from imagebuilder import Image
from imagebuilder.errors import SecretError, SourceError, SpecError
from imagebuilder.sources import Sources
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.read import read_materials
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'lock-version = "1.0"\ncreated-by = "test"\n'
REMOTE = (
    '[[packages]]\nname = "x"\nversion = "1"\n'
    '[[packages.wheels]]\nurl = "https://h/x-1-py3-none-any.whl"\nhashes = {}\n'
)


def read(path: Path) -> Material:
    (material,) = read_materials(
        Image.from_debian_base().with_pylock(path), Sources(), lambda requires, name: (3, 11)
    ).layers
    assert material is not None
    return material


def staged(path: Path) -> dict[str, object]:
    text = dict(read(path).pieces)["pylock.toml"]
    assert isinstance(text, Text)
    return load_toml(text.data.decode(), "staged")


def package(kind: str) -> str:
    return f'[[packages]]\nname = "lib"\n{kind}\n'


def test_the_lock_is_staged_under_one_name_and_says_the_same(make_tree):
    path = make_tree({"pylock.dev.toml": HEAD + REMOTE}) / "pylock.dev.toml"
    assert read(path).entry == "pylock.toml"
    assert staged(path) == load_toml(HEAD + REMOTE, "test")


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        ("# by somebody\n\n" + HEAD + REMOTE + "# end\n", False),
        (HEAD + REMOTE.replace('"1"', '"2"'), True),
        (HEAD + 'requires-python = ">=3.9"\n' + REMOTE, True),
    ],
)
def test_only_what_the_lock_means_counts(make_tree, other: str, counts: bool):
    root = make_tree({"a/pylock.toml": HEAD + REMOTE, "b/pylock.toml": other})
    assert (read(root / "a/pylock.toml").digest != read(root / "b/pylock.toml").digest) == counts


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ('directory = { path = "lib", editable = true }', "local-1"),
        ('directory = { path = "../tree/lib" }', "local-1"),
        ('directory = { path = "mono", subdirectory = "lib" }', "local-1"),
        ('archive = { path = "lib-1.zip", hashes = {} }', "local-1/lib-1.zip"),
        ('sdist = { name = "lib-1.zip", path = "./lib-1.zip", hashes = {} }', "local-1/lib-1.zip"),
        ('[[packages.wheels]]\npath = "lib-1-py3-none-any.whl"\nhashes = {}', "local-1/lib-1-py3-none-any.whl"),
    ],
)
def test_local_things_are_staged_and_never_editable(make_tree, tmp_path: Path, kind: str, place: str):
    tree = {"lib/setup.py": "", "mono/lib/setup.py": "", "lib-1.zip": "z", "lib-1-py3-none-any.whl": "w"}
    path = make_tree({**tree, "pylock.toml": HEAD + package(kind)}) / "pylock.toml"
    text = str(staged(path))
    assert f"'{place}'" in text
    assert "editable" not in text
    read(path).write(tmp_path / "out")
    assert (tmp_path / "out" / place).exists()


def test_an_edit_of_a_local_project_counts_and_its_place_does_not(make_tree):
    one = make_tree({"pylock.toml": HEAD + package('directory = { path = "lib" }'), "lib/setup.py": "1"}, "one")
    two = make_tree({"x/pylock.toml": HEAD + package('directory = { path = "../y" }'), "y/setup.py": "1"}, "two")
    assert read(one / "pylock.toml").digest == read(two / "x/pylock.toml").digest
    (two / "y/setup.py").write_text("2")
    assert read(one / "pylock.toml").digest != read(two / "x/pylock.toml").digest


def test_a_path_that_is_gone_matters_only_without_a_url(make_tree):
    wheel = '[[packages.wheels]]\npath = "gone.whl"\nhashes = {}\n'
    root = make_tree({"a.toml": HEAD + package(wheel), "b.toml": HEAD + package(wheel + 'url = "https://h/gone.whl"')})
    with pytest.raises(SourceError, match=rf"package 'lib': {root}/gone\.whl does not exist"):
        read(root / "a.toml")
    assert "path" not in str(staged(root / "b.toml"))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ('directory = { path = "plain" }', "is not a Python project"),
        ('vcs = { type = "git", path = "../repo", commit-id = "x" }', "a place that no image has"),
        ('archive = { url = "file:///lib.zip", hashes = {} }', "a place that no image has"),
    ],
)
def test_what_no_image_has_is_refused(make_tree, kind: str, message: str):
    path = make_tree({"plain/a": "", "pylock.toml": HEAD + package(kind)}) / "pylock.toml"
    with pytest.raises(SourceError, match=message):
        read(path)


@pytest.mark.parametrize("version", ["", 'lock-version = "2.0"\n', "lock-version = 1\n"])
def test_another_version_is_refused(make_tree, version: str):
    path = make_tree({"pylock.toml": version}) / "pylock.toml"
    with pytest.raises(SourceError, match=r"lock-version = .*only 1\.x is understood"):
        read(path)


def test_a_later_minor_version_is_read(make_tree):
    read(make_tree({"pylock.toml": 'lock-version = "1.7"'}) / "pylock.toml")


def test_broken_toml_names_the_file(make_tree):
    path = make_tree({"pylock.toml": "["}) / "pylock.toml"
    with pytest.raises(SpecError, match=rf"with_pylock\('.*'\): {path} is not valid TOML"):
        read(path)


def test_credentials_are_refused_and_never_shown(make_tree):
    path = make_tree({"pylock.toml": HEAD + REMOTE.replace("https://", "https://user:hunter2@")}) / "pylock.toml"
    with pytest.raises(SecretError, match=r"pylock\.toml, line 7: .*://\*\*\*@h") as caught:
        read(path)
    assert "hunter2" not in str(caught.value)
    assert "index_url" in (caught.value.hint or "")


def test_uv_installs_the_staged_lock(make_tree, tmp_path: Path):
    backend = (
        "import zipfile, os\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name = 'lib-1-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(os.path.join(folder, name), 'w') as file:\n"
        "        file.writestr('lib-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: lib\\nVersion: 1\\n')\n"
        "        file.writestr('lib-1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nTag: py3-none-any\\n')\n"
        "        file.writestr('lib-1.dist-info/RECORD', '')\n"
        "    return name\n"
    )
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    tree = {
        "app/pylock.toml": HEAD + package('version = "1"\ndirectory = { path = "../lib", editable = true }'),
        "lib/pyproject.toml": f'[project]\nname = "lib"\nversion = "1"\n{build}',
        "lib/backend.py": backend,
    }
    read(make_tree(tree) / "app/pylock.toml").write(tmp_path / "out")
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_OFFLINE": "1",
    }
    for arguments in (
        ["venv", "--python", sys.executable, str(tmp_path / "venv")],
        ["pip", "install", "--python", str(tmp_path / "venv"), "-r", "pylock.toml"],
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
    assert "+ lib==1" in done.stderr
