"""What a folder's rules leave out: order, re-inclusion, defaults, files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from imagebuilder.errors import SourceError
from imagebuilder.sources import Folder, read_ignore_file, take_snapshot
from imagebuilder.sources.ignore import rules_for


def kept(root: Path, *patterns: str, **options: bool) -> list[str]:
    """Paths of everything, folders with a slash."""
    entries = take_snapshot(root, patterns, **options).entries
    return [f"{entry.path}/" if isinstance(entry, Folder) else entry.path for entry in entries]


def test_a_pattern_for_a_folder_excludes_all_below(make_tree) -> None:
    root = make_tree({"docs/a/b.md": "", "docs/c.md": "", "d.md": ""})
    assert kept(root, "docs") == ["d.md"]


def test_a_folder_whose_files_are_excluded_stays(make_tree) -> None:
    root = make_tree({"docs/c.md": ""})
    assert kept(root, "docs/*") == ["docs/"]


def test_the_last_matching_line_decides(make_tree) -> None:
    root = make_tree({"a.md": "", "b.md": ""})
    assert kept(root, "*.md", "!a.md") == ["a.md"]
    assert kept(root, "!a.md", "*.md") == []
    assert kept(root, "*.md", "!a.md", "a.md") == []


def test_a_file_below_an_excluded_folder_comes_back_with_its_parents(make_tree) -> None:
    root = make_tree({"a/b/c/keep": "", "a/b/c/drop": "", "a/other/x": "", "z": ""})
    assert kept(root, "a", "!a/b/c/keep") == ["a/", "a/b/", "a/b/c/", "a/b/c/keep", "z"]


def test_a_folder_below_an_excluded_one_comes_back_whole(make_tree) -> None:
    root = make_tree({"a/b/c/d": "", "a/b/e": "", "a/f": ""})
    assert kept(root, "a", "!a/b") == ["a/", "a/b/", "a/b/c/", "a/b/c/d", "a/b/e"]


def test_only_what_is_named_of_everything(make_tree) -> None:
    root = make_tree({"src/a.py": "", "src/b/c.py": "", "other/d": "", "e": ""})
    assert kept(root, "**", "!src") == ["src/", "src/a.py", "src/b/", "src/b/c.py"]
    assert kept(root, "*", "!src/**/*.py") == ["src/", "src/a.py", "src/b/", "src/b/c.py"]


def test_an_excluded_folder_in_which_nothing_comes_back_is_not_shipped(make_tree) -> None:
    root = make_tree({"a/b": "", "c/d": ""})
    assert kept(root, "a", "!a/nothing") == ["c/", "c/d"]


def test_an_excluded_folder_is_not_even_listed(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({"a/b/c": "", "d/e": ""})
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **named: (opened.append(str(path)), real(path, *rest, **named))[1]
    )
    assert kept(root, "a", "!d/e") == ["d/", "d/e"]
    assert not [path for path in opened if path.startswith(str(root / "a"))]


def test_patterns_are_case_sensitive(make_tree) -> None:
    assert kept(make_tree({"README": "", "readme": ""}), "readme") == ["README"]


def test_the_dockerignore_has_its_effect_and_is_not_shipped(make_tree) -> None:
    root = make_tree({".dockerignore": "*.md\n", "a.md": "", "b": "", "sub/.dockerignore": "c\n", "sub/c": ""})
    assert kept(root) == ["b", "sub/", "sub/.dockerignore", "sub/c"]
    before = take_snapshot(root).digest
    (root / ".dockerignore").write_text("# another text, the same effect\n*.md")
    assert take_snapshot(root).digest == before


def test_without_its_dockerignore_the_file_is_like_any_other(make_tree) -> None:
    assert kept(make_tree({".dockerignore": "a", "a": ""}), dockerignore=False) == [".dockerignore", "a"]


def test_the_layers_own_patterns_come_after_the_dockerignore(make_tree) -> None:
    root = make_tree({".dockerignore": "*.md", "a.md": "", "b.md": ""})
    assert kept(root, "!a.md") == ["a.md"]


def test_a_malformed_line_names_file_and_line(make_tree) -> None:
    root = make_tree({".dockerignore": "a\n\n# b\n[z\n"})
    with pytest.raises(SourceError, match=rf"'\[z', line 4 of {root}/.dockerignore"):
        take_snapshot(root)


def test_a_malformed_pattern_of_the_layer_says_so(make_tree) -> None:
    with pytest.raises(SourceError, match="ignore= pattern"):
        take_snapshot(make_tree({}), ["[z"])


def test_a_dockerignore_that_is_a_fifo_does_not_hang(make_tree) -> None:
    root = make_tree({"a": ""})
    os.mkfifo(root / ".dockerignore")
    with pytest.raises(SourceError, match="is a FIFO"):
        take_snapshot(root)


def test_a_dockerignore_that_is_a_folder_or_too_large(make_tree) -> None:
    with pytest.raises(SourceError, match="is a folder, not a file of ignore patterns"):
        take_snapshot(make_tree({".dockerignore/": None}, "one"))
    with pytest.raises(SourceError, match="too large"):
        take_snapshot(make_tree({".dockerignore": "a\n" * 600_000}, "other"))


def test_a_dockerignore_may_be_a_link(make_tree, tmp_path: Path) -> None:
    tmp_path.joinpath("rules").write_text("a")
    assert kept(make_tree({".dockerignore@": "../rules", "a": "", "b": ""})) == ["b"]


def test_bytes_that_are_not_utf8_in_a_comment_are_no_error(make_tree) -> None:
    assert kept(make_tree({".dockerignore": b"# caf\xe9\na\n", "a": "", "b": ""})) == ["b"]


def test_a_dockerignore_elsewhere(make_tree, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("# comment\n*.md\n! /a.md\n")
    assert read_ignore_file(rules) == ("*.md", "!a.md")
    assert kept(make_tree({"a.md": "", "b.md": ""}), *read_ignore_file(rules)) == ["a.md"]


def test_a_dockerignore_elsewhere_that_is_missing_or_malformed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"{tmp_path}/rules does not exist"):
        read_ignore_file(tmp_path / "rules")
    tmp_path.joinpath("rules").write_text("a\n!\n")
    with pytest.raises(SourceError, match=f"line 2 of {tmp_path}/rules"):
        read_ignore_file(tmp_path / "rules")


@given(st.lists(st.text(alphabet="ab!#*?/\\. []^-", max_size=6), max_size=5))
@example(["./#a", " #a", "./!a", "! ./ a", "!!a", "a /", "./ /a", "/ /", "?/ /", "!/ /a"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_patterns_read_from_a_file_mean_the_same_when_read_again(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "rules"
    path.write_text("\n".join(lines))
    try:
        first = read_ignore_file(path)
    except SourceError:
        return
    path.write_text("\n".join(first))
    assert read_ignore_file(path) == first


# --- defaults ---


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".git/config",
            ".hg/x",
            ".svn/x",
            ".env",
            ".venv/x",
            ".tox/x",
            ".nox/x",
            "__pycache__/a.pyc",
            "a.pyc",
            "a.pyo",
        ),
        *(".mypy_cache/x", ".ruff_cache/x", ".pytest_cache/x", ".hypothesis/x", ".ipynb_checkpoints/x", ".DS_Store"),
    ],
)
def test_defaults_apply_at_any_depth(make_tree, name: str) -> None:
    root = make_tree({name: "", f"a/b/{name}": "", "c": ""})
    assert kept(root) == ["a/", "a/b/", "c"]


def test_what_only_looks_like_a_default_stays(make_tree) -> None:
    names = [".envrc", ".github/x", ".gitignore", "a.pycx", "env", "node_modules/x", "venv/x"]
    root = make_tree(dict.fromkeys(names, ""))
    assert [path for path in kept(root) if not path.endswith("/")] == names


def test_defaults_can_be_switched_off(make_tree) -> None:
    assert kept(make_tree({".env": "", "b.pyc": ""}), defaults=False) == [".env", "b.pyc"]


def test_defaults_can_be_overridden_one_by_one(make_tree) -> None:
    root = make_tree({".env": "", "sub/.env": "", ".git/config": ""})
    assert kept(root, "!.env") == [".env", "sub/"]
    assert kept(root, "!**/.env") == [".env", "sub/", "sub/.env"]
    assert kept(root, "!.git") == [".git/", ".git/config", "sub/"]


def test_a_virtual_environment_has_any_name(make_tree) -> None:
    tree = {"my env/pyvenv.cfg": "", "my env/bin/python@": "/usr/bin/python3", "a/v2/pyvenv.cfg": "", "b": ""}
    root = make_tree(tree)
    assert kept(root) == ["a/", "b"]
    assert kept(root, "!a/v2") == ["a/", "a/v2/", "a/v2/pyvenv.cfg", "b"]
    assert kept(root, "!a/v2/pyvenv.cfg") == ["a/", "a/v2/", "a/v2/pyvenv.cfg", "b"]


def test_a_folder_that_is_asked_for_is_not_taken_for_a_virtual_environment(make_tree) -> None:
    assert kept(make_tree({"pyvenv.cfg": "", "a": ""})) == ["a", "pyvenv.cfg"]


# --- the walk is as piecewise as the question is whole ---

NAMES = st.sampled_from(["a", "b", "ab", ".env", "x.pyc", "d"])
FILES = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=12)
RULES = st.lists(
    st.tuples(
        st.sampled_from(["", "!"]),
        st.lists(st.sampled_from(["a", "b", "d", "*", "**", "a*", "?", "[a-c]", ".env"]), min_size=1, max_size=3),
    ).map(lambda rule: rule[0] + "/".join(rule[1])),
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(FILES, RULES, st.booleans())
def test_the_walk_keeps_what_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, files: list[str], patterns: list[str], defaults: bool
) -> None:
    root = tmp_path_factory.mktemp("walk")
    for file in files:
        path = root / file
        if not path.is_dir() and not any(parent.is_file() for parent in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    rules = rules_for(str(root), patterns, defaults=defaults)
    everything = {str(path.relative_to(root)) for path in root.rglob("*")}
    expected = {path for path in everything if not rules.excluded(path)}
    expected |= {str(parent) for path in expected for parent in Path(path).parents if str(parent) != "."}
    found = {entry.path for entry in take_snapshot(root, patterns, defaults=defaults).entries}
    assert found == expected
