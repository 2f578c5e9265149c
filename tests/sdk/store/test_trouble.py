"""The record where its disk is full, its file damaged, its folder closed, or somebody else has it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tasksdk import Cache, TaskEnvironment, run, with_runcontext
from tasksdk.errors import StoreError
from tasksdk.store import database as module
from tasksdk.store.database import Database, database
from tasksdk.store.rows import ActionRow, RunRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

env = TaskEnvironment("trouble")


@env.task(cache=Cache("override", version_override="1"))
def square(x: int) -> int:
    return x * x


@env.task
def size(text: str) -> int:
    return len(text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TASKSDK_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    database().close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    opened = Database(str(tmp_path / "store"))
    yield opened
    opened.close()


def _no_more_room(store: Database) -> None:
    store._connection.execute("pragma max_page_count = 1")


def test_a_full_disk_is_told_and_what_helps(store: Database) -> None:
    _no_more_room(store)
    with pytest.raises(StoreError, match=r"record\.db, cannot be used: database or disk is full") as told:
        store.keep_result(b"k", bytes(1 << 20))
    assert "TASKSDK_HOME" in str(told.value)
    assert told.value.__cause__ is None


def test_actions_that_could_not_be_written_are_written_later(store: Database) -> None:
    _no_more_room(store)
    store.put_action(ActionRow("r", "a", None, "t", inputs=bytes(1 << 20)))
    with pytest.raises(StoreError, match="full"):
        store.flush()
    with pytest.raises(StoreError, match="full"):
        store.actions("r")
    store._connection.execute("pragma max_page_count = 1000000")
    assert [row.name for row in store.actions("r")] == ["a"]


def test_a_full_disk_at_the_very_end_is_one_line(tmp_path: Path) -> None:
    script = f"""
from tasksdk.store.database import database
from tasksdk.store.rows import ActionRow
store = database({str(tmp_path / "home")!r})
store._connection.execute("pragma max_page_count = 1")
store.put_action(ActionRow("r", "a", None, "t", inputs=bytes(1 << 20)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr.startswith("tasksdk: the last actions are not recorded: the record of runs")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("mode", ["local", "remote"])
def test_a_run_on_a_full_disk_fails_and_ends(home: Path, mode: str) -> None:
    _no_more_room(database())
    with pytest.raises(StoreError, match="full"):
        with_runcontext(mode=mode).run(size, text="x" * 1_000_000).outputs()  # type: ignore[arg-type] # a parameter


@pytest.mark.parametrize("damage", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_record_is_set_aside(home: Path, damage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    (home / "record.db").write_bytes(damage)
    assert run(square, x=3).outputs()[0] == 9
    assert "was damaged: it lies at" in capsys.readouterr().err
    [aside] = home.glob("record.db.damaged-*")
    assert aside.read_bytes() == damage
    assert run(square, x=3).outputs()[0] == 9
    assert len(list(home.glob("record.db.damaged-*"))) == 1


def test_damage_that_is_found_later_is_set_aside_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "store"
    store = Database(str(folder))
    for number in range(100):
        store.keep_result(b"%d" % number, bytes(10_000))
    store.close()
    file = folder / "record.db"
    data = bytearray(file.read_bytes())
    # The first pages, which hold the schema, stay as they are.
    data[8 * 4096 :] = b"\xff" * (len(data) - 8 * 4096)
    file.write_bytes(data)
    store = Database(str(folder))
    assert capsys.readouterr().err == ""
    assert {store.result(b"%d" % number) for number in range(100)} == {None}
    store.put_run(RunRow("r", "t", "local", "running", 1.0))
    assert store.run("r") is not None
    store.close()
    assert capsys.readouterr().err.count("was damaged") == 1
    assert len(list(folder.glob("record.db.damaged-*[0-9]"))) == 1


def test_several_that_find_the_same_damage_set_it_aside_once(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "record.db").write_bytes(b"no database" * 1000)
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: Database(str(folder)), range(8)))
    stores[0].keep_result(b"k", b"v")
    assert [store.result(b"k") for store in stores] == [b"v"] * 8
    for store in stores:
        store.close()
    assert len(list(folder.glob("record.db.damaged-*"))) == 1


_AS_NOBODY = """
import os, sys, fcntl, sqlite3
from tasksdk.errors import StoreError
from tasksdk.store.database import Database
from tasksdk.store.turns import Turn
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    if sys.argv[1] == "turn":
        Turn(sys.argv[2], b"k").try_enter()
    else:
        Database(sys.argv[2]).put_run(None)
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("what", ["no folder", "no file", "turn"])
def test_a_folder_that_is_closed_is_told(what: str) -> None:
    import shutil
    import tempfile

    # Not below pytest's own folder, which nobody else may enter.
    top = tempfile.mkdtemp()
    folder = f"{top}/home"
    try:
        os.chmod(top, 0o755)
        if what != "no folder":
            os.mkdir(folder)
        os.chmod(folder if what != "no folder" else top, 0o555)
        command = [sys.executable, "-c", _AS_NOBODY, what, folder]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        os.chmod(top, 0o755)
    finally:
        shutil.rmtree(top)
    assert "cannot be used" in ran.stdout
    assert "set TASKSDK_HOME to a folder that you may write into" in ran.stdout


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match="cannot be used: File exists"):
        Database(str(tmp_path / "home"))


def test_a_record_that_another_holds_for_long_is_told(tmp_path: Path) -> None:
    store = Database(str(tmp_path), patience=0.1)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("begin exclusive")
    with pytest.raises(StoreError, match="locked") as told:
        store.put_run(RunRow("r", "t", "local", "running", 1.0))
    assert f"fuser {store.path}" in str(told.value)
    assert module._WAIT >= 10
    other.execute("rollback")
    store.put_run(RunRow("r", "t", "local", "running", 1.0))
    assert store.run("r") is not None
    other.close()
    store.close()
