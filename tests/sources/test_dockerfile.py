"""A Dockerfile of the user's own and its context."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image
from imagebuilder.errors import SourceError
from imagebuilder.sources import Sources
from imagebuilder.sources.read import read_materials

if TYPE_CHECKING:
    from imagebuilder.sources.material import Material


def read(path: Path, context: Path | None = None) -> Material:
    image = Image.from_dockerfile(path, context=context)
    material = read_materials(image, Sources(), lambda requires, name: (3, 11)).base
    assert material is not None
    return material


def places(material: Material) -> list[str]:
    return [at.removeprefix("context/") for at, _ in material.contents() if at.startswith("context/")]


def test_the_context_is_the_dockerfiles_folder_with_nothing_left_out(make_tree):
    root = make_tree({"Dockerfile": "FROM x", "a": "1", ".git/config": "", "b/__pycache__/c.pyc": "", ".env": ""})
    material = read(root / "Dockerfile")
    assert [at for at, _ in material.pieces] == ["Dockerfile", "context"]
    assert places(material) == [
        ".env",
        ".git",
        ".git/config",
        "Dockerfile",
        "a",
        "b",
        "b/__pycache__",
        "b/__pycache__/c.pyc",
    ]


def test_a_dockerfile_of_another_name_and_context(make_tree):
    root = make_tree({"docker/prod.Dockerfile": "FROM x", "src/a": "1"})
    material = read(root / "docker/prod.Dockerfile", root / "src")
    assert [at for at, _ in material.contents()] == ["Dockerfile", "context/a"]


def test_dockerignore_leaves_out_and_is_not_shipped(make_tree):
    root = make_tree(
        {
            "Dockerfile": "",
            ".dockerignore": "*.csv\n!keep.csv\nDockerfile\n",
            "a.csv": "",
            "keep.csv": "",
            "sub/.dockerignore": "",
        }
    )
    assert places(read(root / "Dockerfile")) == ["keep.csv", "sub", "sub/.dockerignore"]


def test_the_dockerfiles_own_ignore_file_goes_before(make_tree):
    tree = {"Dockerfile": "", ".dockerignore": "a", "Dockerfile.dockerignore": "b\n!.dockerignore\n", "a": "", "b": ""}
    assert places(read(make_tree(tree) / "Dockerfile")) == ["Dockerfile", "a"]


def test_an_own_ignore_file_deeper_in_the_context_is_not_shipped(make_tree):
    root = make_tree(
        {"d/x.Dockerfile": "", "d/x.Dockerfile.dockerignore": "# nothing\n", ".dockerignore": "*", "a": ""}
    )
    assert places(read(root / "d/x.Dockerfile", root)) == ["a", "d", "d/x.Dockerfile"]


@pytest.mark.parametrize("change", ["dockerfile", "context", "exec", "ignore"])
def test_what_a_build_would_see_counts(make_tree, change: str):
    root = make_tree({"Dockerfile": "FROM x", "context/a": "1", "context/b": ""})
    before = read(root / "Dockerfile", root / "context").digest
    if change == "exec":
        (root / "context/a").chmod(0o755)
    else:
        names = {"dockerfile": "Dockerfile", "context": "context/a", "ignore": "context/.dockerignore"}
        (root / names[change]).write_text("a")
    assert read(root / "Dockerfile", root / "context").digest != before


def test_the_place_and_what_is_ignored_do_not_count(make_tree):
    one = make_tree({"Dockerfile": "", "a": "1", "Dockerfile.dockerignore": "x", "x": ""}, "one")
    two = make_tree({"Dockerfile": "", "a": "1", ".dockerignore": "y", "y": ""}, "two")
    assert read(one / "Dockerfile").digest == read(two / "Dockerfile").digest


def test_a_missing_dockerfile_and_context_are_named_in_full(monkeypatch, make_tree):
    root = make_tree({"here/Dockerfile": "", "file": ""})
    monkeypatch.chdir(root)
    with pytest.raises(SourceError, match=rf"from_dockerfile\('Dockerfile'\): {root}/Dockerfile does not exist"):
        read(Path("Dockerfile"))
    with pytest.raises(SourceError, match=f"{root}/gone does not exist"):
        read(Path("here/Dockerfile"), Path("gone"))
    with pytest.raises(SourceError, match=f"{root}/here is a folder"):
        read(Path("here"))
    with pytest.raises(SourceError, match="where a folder is needed"):
        read(Path("here/Dockerfile"), Path("file"))


def test_a_whole_disk_or_home_is_no_context(make_tree, tmp_path: Path, monkeypatch):
    home = make_tree({"Dockerfile": ""}, "home")
    entry = pwd.struct_passwd(("me", "x", 1, 1, "", str(home), ""))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    (tmp_path / "link").symlink_to(home)
    for path in (home / "Dockerfile", tmp_path / "link/Dockerfile"):
        with pytest.raises(SourceError, match=r"is your home folder\n.*context=") as caught:
            read(path)
        assert caught.value.hint
    with pytest.raises(SourceError, match="the build context / is the whole disk"):
        read(home / "Dockerfile", Path("/"))


def test_a_user_without_an_entry_has_no_home(make_tree, monkeypatch):
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    read(make_tree({"Dockerfile": ""}) / "Dockerfile")


def test_a_fifo_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "Dockerfile")
    with pytest.raises(SourceError, match="FIFO"):
        read(tmp_path / "Dockerfile")
