"""Wheels, one by one and by the folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image
from imagebuilder.errors import SourceError
from imagebuilder.sources import Sources
from imagebuilder.sources.read import read_materials

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.sources.material import Material

A, B = "a_pkg-1.0-py3-none-any.whl", "b-2.0+cpu-1_x-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


def read(*paths: Path) -> Material:
    (material,) = read_materials(
        Image.from_debian_base().with_wheels(*paths), Sources(), lambda requires, name: (3, 11)
    ).layers
    assert material is not None
    return material


def test_files_and_folders_are_staged_flat(make_tree):
    root = make_tree({f"dist/{A}": "a", "dist/a-1.tar.gz": "", f"dist/sub/{B}": "", f"more/{B}": "b"})
    assert [at for at, _ in read(root / "dist", root / "more" / B).pieces] == [A, B]


def test_the_order_the_place_the_mode_and_repetition_do_not_count(make_tree):
    root = make_tree({f"x/{A}": "a", f"x/{B}": "b", f"y/{B}*": "b"})
    expected = read(root / "x").digest
    assert read(root / "x" / B, root / "x" / A).digest == expected
    assert read(root / "y", root / "x" / A, root / "x").digest == expected


def test_content_and_name_count(make_tree):
    root = make_tree({f"x/{A}": "a", f"y/{A}": "other", f"z/{A.replace('1.0', '1.1')}": "a"})
    assert len({read(root / name).digest for name in "xyz"}) == 3


def test_two_wheels_of_one_name_are_refused(make_tree):
    root = make_tree({f"x/{A}": "a", f"y/{A}": "other"})
    with pytest.raises(SourceError, match=rf"{root}/x/{A} and {root}/y/{A} are two different wheels"):
        read(root / "x", root / "y")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.whl", r"gone\.whl does not exist"),
        ("a.tar.gz", r"a\.tar\.gz is not a wheel"),
        ("empty", r"empty has no wheels in it"),
        ("bad/a.whl", r"a\.whl is not named as a wheel is"),
        ("bad", r"a\.whl is not named as a wheel is"),
    ],
)
def test_what_is_no_wheel_is_named(make_tree, path: str, message: str):
    root = make_tree({"a.tar.gz": "", "empty/a.txt": "", "bad/a.whl": ""})
    with pytest.raises(SourceError, match=rf"with_wheels\('{root}/{path}'\): {root}/.*{message}") as caught:
        read(root / path)
    assert caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["a-1.whl", "a-1-py3-none.whl", "a-1-x-py3-none-any.whl", "a b-1-py3-none-any.whl", "a-1-py3-none-any-b-c.whl"],
)
def test_a_name_that_pep_427_does_not_allow_is_refused(make_tree, name: str):
    with pytest.raises(SourceError, match="not named as a wheel is"):
        read(make_tree({name: ""}))


@pytest.mark.parametrize("name", [A, B, "a-1!2.0-1-py2.py3-none-any.whl", "a.b-1.0.dev1-py3-none-any.whl"])
def test_names_that_pep_427_allows_are_read(make_tree, name: str):
    assert [at for at, _ in read(make_tree({name: ""})).pieces] == [name]


def test_a_folder_named_as_a_wheel_and_a_fifo_are_refused(make_tree, tmp_path: Path):
    root = make_tree({f"dist/{A}/x": ""})
    with pytest.raises(SourceError, match="is a folder, where a file is needed"):
        read(root / "dist")
    os.mkfifo(tmp_path / A)
    with pytest.raises(SourceError, match="FIFO"):
        read(tmp_path / A)
