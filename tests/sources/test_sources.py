"""One command reads a folder once; the next command sees every edit."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagebuilder.sources import Sources, take_snapshot


def test_a_folder_is_walked_once_however_it_is_written(make_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree({"a": "1", "b/c": "2"})
    monkeypatch.chdir(root)
    listed: list[object] = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: (listed.append(folder), real(folder))[1])
    sources = Sources()
    assert sources.snapshot(root) is sources.snapshot(f"{root}/") is sources.snapshot(".")
    assert len(listed) == 2


def test_other_rules_are_another_snapshot(make_tree) -> None:
    root = make_tree({".env": "", "a": "", ".dockerignore": "a"})
    sources = Sources()
    asked = [
        sources.snapshot(root),
        sources.snapshot(root, ["!a"]),
        sources.snapshot(root, defaults=False),
        sources.snapshot(root, dockerignore=False),
    ]
    assert len({snapshot.digest for snapshot in asked}) == 4


def test_what_one_command_remembers_does_not_outlive_it(make_tree, tmp_path: Path) -> None:
    root = make_tree({"a": "1"})
    with Sources(tmp_path / "cache") as sources:
        first = sources.snapshot(root)
    (root / "a").write_text("2")
    assert sources.snapshot(root) is first
    with Sources(tmp_path / "cache") as sources:
        assert sources.snapshot(root) == take_snapshot(root) != first


def test_a_file_and_an_ignore_file_are_read_once(make_tree) -> None:
    root = make_tree({"a": "1", "rules": "*.md"})
    sources = Sources()
    assert sources.file(root / "a") is sources.file(f"{root}/./a")
    assert sources.ignore_file(root / "rules") is sources.ignore_file(root / "rules")
    assert sources.ignore_file(root / "rules") == ("*.md",)


def test_the_cache_is_saved_even_after_an_error(make_tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[bool] = []
    monkeypatch.setattr("imagebuilder.sources.stat_cache.StatCache.save", lambda self: saved.append(True))
    with pytest.raises(RuntimeError), Sources(tmp_path / "cache"):
        raise RuntimeError
    assert saved == [True]


def test_threads_share_it(make_tree, tmp_path: Path) -> None:
    roots = [make_tree({f"{name}{number}": name for number in range(20)}, name) for name in "abcd"]
    sources = Sources(tmp_path / "cache")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(sources.snapshot, roots * 8))
    assert len({id(snapshot) for snapshot in found}) == 4


def test_it_reads_no_environment_and_needs_the_standard_library_alone() -> None:
    code = (
        "import os, sys\n"
        "class Closed(dict):\n"
        "    def __getitem__(self, key): raise AssertionError(key)\n"
        "    get = __contains__ = __getitem__\n"
        "before = set(sys.modules)\n"
        "os.environ = Closed()\n"
        "import imagebuilder.sources.walk, imagebuilder.sources.stage\n"
        "imagebuilder.sources.walk.take_snapshot(sys.argv[1])\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(names - sys.stdlib_module_names - {'imagebuilder'}))\n"
    )
    folder = str(Path(__file__).parent)
    run = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
