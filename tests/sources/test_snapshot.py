"""The digest of a snapshot: golden, injective, and a function of the entries alone."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.sources import Entry, File, Folder, Link, Snapshot, diff, take_snapshot

HASHES = [hashlib.sha256(text).hexdigest() for text in (b"", b"1", b"2")]
GOLDEN = [
    Folder("src"),
    Folder("src/empty"),
    File("src/ünïcode.py", False, 1, HASHES[1]),
    File("src/run", True, 1, HASHES[2]),
    Link("src/latest", "run"),
    File("README", False, 0, HASHES[0]),
]


def test_the_digest_is_what_it_was() -> None:
    """A change here renames every image: it needs a new epoch and a new version in the encoding's first line."""
    assert Snapshot.of("/anywhere", GOLDEN).digest == "9aef752bf228a71f48edc505496c7eb522a58f56e6881b3380d8d8555b40b944"
    assert Snapshot.of("/anywhere", []).digest == "19f816880495aea63341464a2790c87ad9069a4c0e1d40d15575478998b85724"


def test_the_encoding_is_as_documented() -> None:
    paths = "README\0src/run\0src/ünïcode.py".encode()
    hashes = b"".join(bytes.fromhex(HASHES[number]) for number in (0, 2, 1))
    columns = {"files": paths, "modes": b"-x-", "sha256": hashes, "folders": b"src\0src/empty"}
    columns |= {"links": b"src/latest", "targets": b"run"}
    encoded = b"imagebuilder snapshot 1\n"
    encoded += b"".join(f"{tag} {len(column)}\n".encode() + column for tag, column in columns.items())
    assert Snapshot.of("/", GOLDEN).digest == hashlib.sha256(encoded).hexdigest()


def test_the_root_and_the_order_do_not_matter() -> None:
    assert Snapshot.of("/a", GOLDEN) == Snapshot.of("/b", reversed(GOLDEN))
    assert len({Snapshot.of("/a", GOLDEN), Snapshot.of("/b", reversed(GOLDEN))}) == 1


def test_it_equals_no_other_thing() -> None:
    assert Snapshot.of("/a", []) != "text"


NAMES = st.text(alphabet="ab/.é\n x-", min_size=1, max_size=4)


@st.composite
def trees(draw: st.DrawFn) -> frozenset[Entry]:
    entries: list[Entry] = []
    for path in draw(st.sets(NAMES, max_size=5)):
        file = st.builds(File, st.just(path), st.booleans(), st.just(1), st.sampled_from(HASHES))
        entries.append(draw(st.one_of(file, st.just(Folder(path)), st.builds(Link, st.just(path), NAMES))))
    return frozenset(entries)


@given(trees(), trees())
def test_two_trees_share_a_digest_only_if_they_are_one(one: frozenset[Entry], other: frozenset[Entry]) -> None:
    assert (Snapshot.of("/", one).digest == Snapshot.of("/", other).digest) == (one == other)


@given(trees())
def test_entries_come_back_sorted_by_bytes(tree: frozenset[Entry]) -> None:
    entries = Snapshot.of("/", tree).entries
    assert set(entries) == tree
    assert [entry.path.encode() for entry in entries] == sorted(entry.path.encode() for entry in entries)


@given(trees(), trees())
def test_a_difference_names_each_path_that_differs(one: frozenset[Entry], other: frozenset[Entry]) -> None:
    changes = diff(Snapshot.of("/", one), Snapshot.of("/", other))
    assert {path for path, _ in changes} == {entry.path for entry in one ^ other}
    assert [path for path, _ in changes] == sorted(path for path, _ in changes)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({}, {"a": ""}, "added"),
        ({"a": ""}, {}, "removed"),
        ({"a": "1"}, {"a": "2"}, "changed"),
        ({"a": "1"}, {"a*": "1"}, "mode changed"),
        ({"a": "1"}, {"a*": "2"}, "changed"),
        ({"a@": "b"}, {"a@": "c"}, "retargeted"),
        ({"a": ""}, {"a@": "c"}, "became a link"),
        ({"a@": "b"}, {"a/": None}, "became a folder"),
        ({"a/": None}, {"a": ""}, "became a file"),
    ],
)
def test_what_changed_has_a_word(make_tree, before, after, change: str) -> None:
    old, new = take_snapshot(make_tree(before, "old")), take_snapshot(make_tree(after, "new"))
    assert diff(old, new) == [("a", change)]
    assert diff(old, old) == []


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot = Snapshot.of("/a", GOLDEN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.root = "/b"  # type: ignore[misc]


def test_it_prints_what_it_is() -> None:
    assert repr(Snapshot.of("/a", GOLDEN)).startswith("<Snapshot of /a: 3 files, 2 bytes, ")
