"""A material: pieces with places, a digest that tells any two apart, and a verified copy."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagebuilder.errors import BuildError, SourceChangedError
from imagebuilder.sources import File, Folder, Link, Snapshot, snapshot_file, take_snapshot
from imagebuilder.sources.material import LaterMaterial, Material, Original, Text

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.text("ab-", min_size=1, max_size=3)
PLACES = st.lists(NAMES, min_size=1, max_size=2).map("/".join)
SHA256S = st.sampled_from(["0" * 64, "1" * 64])
FILES = st.builds(File, NAMES, st.booleans(), st.just(1), SHA256S)
ENTRIES = st.lists(st.one_of(FILES, st.builds(Folder, NAMES), st.builds(Link, NAMES, NAMES)), max_size=3)
PIECES = st.one_of(
    st.builds(Text, st.binary(max_size=2)),
    st.builds(Original, FILES, st.just("/anywhere")),
    ENTRIES.map(lambda entries: Snapshot.of("/root", {entry.path: entry for entry in entries}.values())),
)
MATERIALS = st.builds(
    lambda pieces, entry: Material(tuple(pieces.items()), entry), st.dictionaries(PLACES, PIECES, max_size=3), PLACES
)


def meaning(material: Material) -> object:
    """What a step sees, spelled out."""
    pieces = []
    for at, piece in material.pieces:
        if isinstance(piece, Snapshot):
            pieces.append((at, "folder", [tuple(entry) for entry in piece.entries]))
        else:
            executable = isinstance(piece, Original) and piece.file.executable
            pieces.append((at, "file", executable, piece.digest.removeprefix("x")))
    return repr((material.entry, pieces))


@settings(deadline=None)
@given(MATERIALS, MATERIALS)
def test_two_materials_share_a_digest_only_if_they_mean_the_same(one: Material, other: Material):
    assert (one.digest == other.digest) == (meaning(one) == meaning(other))


@settings(deadline=None)
@given(st.dictionaries(PLACES, PIECES, min_size=2, max_size=4), st.randoms())
def test_the_order_of_pieces_does_not_matter(pieces, random):
    shuffled = list(pieces.items())
    random.shuffle(shuffled)
    assert Material(tuple(shuffled)) == Material(tuple(pieces.items()))
    assert Material(tuple(shuffled)).digest == Material(tuple(pieces.items())).digest


def test_parts_do_not_run_into_each_other():
    assert Material((("ab", Text(b"c")),)).digest != Material((("a", Text(b"bc")),)).digest
    assert Material((("a", Text(b"")),), "b").digest != Material((("ab", Text(b"")),)).digest


def test_a_derived_file_and_the_same_bytes_of_the_users_are_one():
    sha256 = Text(b"x").digest
    assert (
        Material((("a", Text(b"x")),)).digest == Material((("a", Original(File("a", False, 1, sha256), "/a")),)).digest
    )


def test_an_exec_bit_and_an_entry_count():
    plain, executable = (Original(File("a", mode, 1, "0" * 64), "/a") for mode in (False, True))
    assert Material((("a", plain),)).digest != Material((("a", executable),)).digest
    assert Material((("a", plain),)).digest != Material((("a", plain),), "a").digest


def test_the_location_does_not_count():
    file = File("a", False, 1, "0" * 64)
    assert Material((("a", Original(file, "/here/a")),)).digest == Material((("a", Original(file, "/there/a")),)).digest


@pytest.mark.parametrize("place", ["/a", "../a", "a/../b", "a//b", "./a", "a/"])
def test_a_place_is_inside_the_folder(place: str):
    with pytest.raises(ValueError, match="not a place inside"):
        Material(((place, Text(b"")),))
    with pytest.raises(ValueError, match="not a place inside"):
        Material((), place)


def test_a_place_has_one_piece():
    with pytest.raises(ValueError, match="two pieces"):
        Material((("a", Text(b"1")), ("a", Text(b"2"))))


def test_writes_everything_with_fixed_modes_whatever_the_umask(make_tree, tmp_path: Path):
    root = make_tree({"tree/run.sh*": "#!/bin/sh", "tree/empty/": None, "tool*": "x", "tree/link@": "run.sh"})
    tool = Original(snapshot_file(root / "tool"), str(root / "tool"))
    pieces = (
        ("deep/text", Text(b"t")),
        ("tool", tool),
        ("tree", take_snapshot(root / "tree")),
        ("tree/in", Text(b"i")),
    )
    material = Material(pieces)
    before = os.umask(0o077)
    try:
        material.write(tmp_path / "new" / "out")
    finally:
        os.umask(before)
    out = tmp_path / "new" / "out"
    written = take_snapshot(out, defaults=False)
    assert {(entry.path, type(entry).__name__) for entry in written.entries} == {
        ("deep", "Folder"),
        ("deep/text", "File"),
        ("tool", "File"),
        ("tree", "Folder"),
        ("tree/empty", "Folder"),
        ("tree/in", "File"),
        ("tree/link", "Link"),
        ("tree/run.sh", "File"),
    }
    modes = {path: (out / path).stat().st_mode & 0o777 for path in ("deep", "deep/text", "tool", "tree", "tree/run.sh")}
    assert modes == {"deep": 0o755, "deep/text": 0o644, "tool": 0o755, "tree": 0o755, "tree/run.sh": 0o755}
    assert material.total_bytes == written.total_bytes


def test_contents_name_every_path(make_tree):
    root = make_tree({"a*": "1", "b/": None, "c@": "a"})
    material = Material((("in", take_snapshot(root)), ("text", Text(b"t"))))
    contents = dict(material.contents())
    assert contents.keys() == {"in/a", "in/b", "in/c", "text"}
    assert contents["in/a"].startswith("x")
    assert contents["in/c"] == "link a"


@pytest.mark.parametrize("change", ["edited", "vanished", "became a folder"])
def test_a_file_that_changed_since_is_an_error(make_tree, tmp_path: Path, change: str):
    path = make_tree({"a": "1"}) / "a"
    material = Material((("a", Original(snapshot_file(path), str(path))),))
    path.unlink()
    if change == "edited":
        path.write_text("2")
    elif change == "became a folder":
        path.mkdir()
    with pytest.raises(SourceChangedError, match="while the image was being built"):
        material.write(tmp_path / "out")


def test_a_folder_that_changed_since_is_an_error(make_tree, tmp_path: Path):
    root = make_tree({"a": "1"})
    material = Material((("", take_snapshot(root)),))
    (root / "a").write_text("2")
    with pytest.raises(SourceChangedError):
        material.write(tmp_path / "out")


def test_a_destination_that_is_taken_is_an_error(tmp_path: Path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(BuildError, match="cannot be written"):
        Material((("a", Text(b"t")),)).write(tmp_path)
    assert (tmp_path / "a").read_text() == "mine"


def test_what_was_begun_is_made_once():
    began, go, made = threading.Event(), threading.Event(), []

    def make():
        began.set()
        go.wait(60)
        made.append(1)
        return [("a", Text(b"x"))]

    material = LaterMaterial("key", make)
    material.begin()
    assert began.wait(60)
    go.set()
    assert dict(material.pieces) == {"a": Text(b"x")}
    material.begin()
    assert dict(material.pieces) == {"a": Text(b"x")}
    assert made == [1]


def test_a_failure_of_what_was_begun_is_told_to_whoever_looks():
    tried = threading.Event()

    def make():
        tried.set()
        raise BuildError("no")

    material = LaterMaterial("key", make)
    material.begin()
    assert tried.wait(60)
    with pytest.raises(BuildError, match="no"):
        _ = material.pieces
