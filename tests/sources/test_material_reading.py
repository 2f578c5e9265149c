"""Reading what a spec names: which layers have a material, folders and files as they are, and how errors begin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image
from imagebuilder.errors import SourceError
from imagebuilder.sources import Sources
from imagebuilder.sources.read import read_materials
from imagebuilder.sources.toml_text import dump, normalised, without_leading_comments
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from imagebuilder.sources.materials import Materials


def read(image: Image) -> Materials:
    return read_materials(image, Sources(), lambda requires, name: (3, 11))


def digest(image: Image) -> str | None:
    return read(image).layer_digests[-1]


def test_only_layers_that_name_files_have_a_material(make_tree):
    root = make_tree({"a": "1"})
    image = (
        Image.from_debian_base()
        .with_apt_packages("git")
        .with_pip_packages("numpy")
        .with_source_folder(root, "/app")
        .with_commands(["ls"])
        .with_env_vars({"A": "1"})
        .with_user("worker")
    )
    materials = read(image)
    assert [bool(material) for material in materials.layers] == [False, False, True, False, False, False]
    assert materials.base is None
    assert materials.base_digest is None
    assert materials.python_version is None


def test_a_source_folder_is_the_folder_itself(make_tree, tmp_path: Path):
    root = make_tree({"a/b.py": "1", ".git/x": "", "__pycache__/x": ""})
    (material,) = read(Image.from_debian_base().with_source_folder(root, "/app")).layers
    assert material is not None
    material.write(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["a", "b.py"]
    assert material.entry == ""


def test_ignore_files_come_first_then_the_layers_own_patterns(make_tree):
    root = make_tree({"src/a.csv": "1", "src/b.csv": "2", "src/c.txt": "3", "ignore": "*.csv\n!b.csv\n"})
    image = Image.from_debian_base().with_dockerignore(root / "ignore")
    (material,) = read(image.with_source_folder(root / "src", "/app", ignore=["c.txt"])).layers
    assert [at for at, _ in material.contents()] == ["b.csv"]
    (material,) = read(image.with_source_folder(root / "src", "/app", ignore=["!a.csv"])).layers
    assert [at for at, _ in material.contents()] == ["a.csv", "b.csv", "c.txt"]


def test_a_missing_ignore_file_is_named(make_tree):
    root = make_tree({"src/a": "1"})
    image = Image.from_debian_base().with_dockerignore(root / "no").with_source_folder(root / "src", "/app")
    with pytest.raises(SourceError, match=f"{root}/no does not exist\n.*with_dockerignore"):
        read(image)


def test_a_source_file_keeps_its_name_and_its_exec_bit(make_tree):
    root = make_tree({"run.sh*": "x"})
    image = Image.from_debian_base().with_source_file(root / "run.sh", "/app/")
    (material,) = read(image).layers
    assert (material.entry, [at for at, _ in material.pieces]) == ("run.sh", ["run.sh"])
    before = material.digest
    (root / "run.sh").chmod(0o644)
    assert digest(image) != before


def test_the_place_of_a_source_does_not_count(make_tree):
    here, there = make_tree({"a": "1"}, "here"), make_tree({"a": "1"}, "there")
    base = Image.from_debian_base()
    assert digest(base.with_source_folder(here, "/x")) == digest(base.with_source_folder(there, "/x"))
    assert digest(base.with_source_file(here / "a", "/x")) == digest(base.with_source_file(there / "a", "/x"))


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda image, path: image.with_source_folder(path, "/x"), "correct the path in with_source_folder"),
        (lambda image, path: image.with_source_file(path, "/x"), "correct the path in with_source_file"),
        (lambda image, path: image.with_requirements(path), "one requirement a line"),
        (lambda image, path: image.with_pylock(path), "uv export"),
        (lambda image, path: image.with_uv_project(path / "pyproject.toml"), "uv init"),
        (lambda image, path: image.with_poetry_project(path / "pyproject.toml"), "correct the path"),
        (lambda image, path: image.with_wheels(path), "uv build --wheel"),
    ],
)
def test_what_is_missing_is_named_in_full_with_its_call_and_a_hint(monkeypatch, tmp_path: Path, call, hint: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as caught:
        read(call(Image.from_debian_base(), Path("gone")))
    assert caught.value.message.startswith("with_")
    assert "('gone" in caught.value.message
    assert f"{tmp_path}/gone" in caught.value.message
    assert "does not exist" in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_file_for_a_folder_and_a_folder_for_a_file_name_the_other_call(make_tree):
    root = make_tree({"a": "1"})
    with pytest.raises(SourceError, match="with_source_file"):
        read(Image.from_debian_base().with_source_folder(root / "a", "/x"))
    with pytest.raises(SourceError, match="with_source_folder"):
        read(Image.from_debian_base().with_source_file(root, "/x"))


@pytest.mark.parametrize(
    "call", [Image.with_requirements, Image.with_pylock, lambda image, path: image.with_source_file(path, "/x")]
)
def test_a_fifo_is_refused_and_never_waited_for(tmp_path: Path, call):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SourceError, match="FIFO"):
        read(call(Image.from_debian_base(), tmp_path / "fifo"))


def test_text_that_is_not_utf8_is_refused(tmp_path: Path):
    (tmp_path / "r.txt").write_bytes("numpy".encode("utf-16"))
    with pytest.raises(SourceError, match=r"r\.txt is not UTF-8: byte 0 is 0xff"):
        read(Image.from_debian_base().with_requirements(tmp_path / "r.txt"))


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch):
    (tmp_path / "r.txt").write_text("numpy")
    (tmp_path / "r.txt").chmod(0)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("imagebuilder.sources.user_file.os.open", refuse)
    with pytest.raises(SourceError, match=r"r\.txt cannot be read: Permission denied"):
        read(Image.from_debian_base().with_requirements(tmp_path / "r.txt"))


def test_normalised_toml_says_the_same():
    text = """
    # a comment
    date = 2024-01-02T03:04:05Z
    day = 2024-01-02
    "quoted key" = 'a\\b "c" \u00e9'
    floats = [1.5, -0.0, inf, 1e300]
    mixed = [1, {x = {y = true}}, [2, "\\u007f\\u0001"]]
    empty = {}
    [tool.uv.sources]
    [[tool.uv.index]]
    url = "u"  # another
    [tool.uv.index.sub]
    deep = \"\"\"
    [not.a.table]
    \"\"\"
    [[tool.uv.index]]
    """
    data = load_toml(text, "test")
    assert load_toml(dump(data), "dumped") == data
    assert normalised(data, text) == dump(data).encode()
    shuffled = load_toml("\n".join(reversed('a = 1\n"b" = 2 # x\n\n'.splitlines())), "test")
    assert normalised(shuffled, "") == b"a = 1\nb = 2\n"


def test_toml_that_cannot_be_normalised_stays_as_it_is():
    text = "a = nan # not equal to itself\n"
    assert normalised(load_toml(text, "test"), text) == text.encode()


def test_only_comments_before_the_first_line_are_dropped():
    assert without_leading_comments("# by tool 1.0\r\n\n  # x\na = 1 # y\n# z\n") == b"a = 1 # y\n# z\n"
    assert without_leading_comments("a = 1\n") == b"a = 1\n"
