"""The SQLite file that holds the record and the kept results."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import Any

from tasksdk.store.home import home
from tasksdk.store.rows import ActionRow, RunRow

_SCHEMA = """
create table if not exists runs (
  name text primary key, task text, mode text, phase text, started real, ended real
) without rowid;
create table if not exists actions (
  run text, name text, parent text, task text, grp text, phase text, attempts integer, started real, ended real,
  inputs blob, outputs blob, error text, cached integer, primary key (run, name)
) without rowid;
create table if not exists results (key blob primary key, outputs blob, kept real) without rowid;
create table if not exists deployed (
  name text, version text, spec blob, time real, primary key (name, version)
);
"""
_PUT_ACTION = "insert or replace into actions values (?,?,?,?,?,?,?,?,?,?,?,?,?)"
_PUT_RUN = "insert or replace into runs values (?,?,?,?,?,?)"
_END_ACTIONS = "update actions set phase = 'aborted', ended = ? where run = ? and phase = 'running'"
_WAIT = 30.0
_GATHER = 0.02


class Database:
    """Writes of the record are gathered for some milliseconds; kept results are written at once.

    Several threads and several processes may use the same file.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder or home()
        os.makedirs(self.folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - pathlib takes longer to import
        self.path = os.path.join(self.folder, "record.db")  # noqa: PTH118 - as above
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(self.path, timeout=_WAIT, check_same_thread=False, isolation_level=None)
        self._connection.execute("pragma journal_mode=wal")
        # The record survives the end of this process in any case; a power failure may cost its last milliseconds.
        self._connection.execute("pragma synchronous=normal")
        self._connection.executescript(_SCHEMA)
        self._actions: list[tuple[object, ...]] = []
        self._waiting = threading.Event()
        self._flusher: threading.Thread | None = None
        self._closed = False

    def put_run(self, run: RunRow) -> None:
        """Write a run's row."""
        with self._lock:
            self._flush()
            self._connection.execute(_PUT_RUN, (run.name, run.task, run.mode, run.phase, run.started, run.ended))

    def end_actions(self, run: str) -> None:
        """Whatever of a run is still said to run was killed before it could say otherwise."""
        with self._lock:
            self._flush()
            self._connection.execute(_END_ACTIONS, (time.time(), run))

    def put_action(self, action: ActionRow) -> None:
        """Write an action's row soon."""
        with self._lock:
            self._actions.append(action.values())
            if self._flusher is None:
                self._flusher = threading.Thread(target=self._flush_later, name="tasksdk-record", daemon=True)
                self._flusher.start()
        if not self._waiting.is_set():
            self._waiting.set()

    def flush(self) -> None:
        """Write what was gathered."""
        with self._lock:
            self._flush()

    def run(self, name: str) -> RunRow | None:
        """A run's row."""
        found = self._read("select * from runs where name = ?", name)
        return RunRow(*found[0]) if found else None

    def actions(self, run: str) -> list[ActionRow]:
        """The rows of a run's actions, in the order of their start."""
        return [
            ActionRow(*row) for row in self._read("select * from actions where run = ? order by started, name", run)
        ]

    def result(self, key: bytes) -> bytes | None:
        """The outputs kept under a key."""
        with self._lock:
            found = self._connection.execute("select outputs from results where key = ?", (key,)).fetchone()
        return None if found is None else found[0]

    def keep_result(self, key: bytes, outputs: bytes) -> None:
        """Keep outputs under a key."""
        with self._lock:
            self._connection.execute("insert or replace into results values (?,?,?)", (key, outputs, time.time()))

    def put_spec(self, name: str, version: str, spec: bytes) -> None:
        """Keep a deployed task's spec under its name and version."""
        with self._lock:
            row = (name, version, spec, time.time())
            self._connection.execute("insert or replace into deployed values (?,?,?,?)", row)

    def spec(self, name: str, version: str | None) -> tuple[str, bytes] | None:
        """The version and the spec of that version, or of the one deployed last."""
        if version is None:
            found = self._read("select version, spec from deployed where name = ? order by time desc limit 1", name)
        else:
            found = self._read("select version, spec from deployed where name = ? and version = ?", name, version)
        return None if not found else (found[0][0], found[0][1])

    def close(self) -> None:
        """Write what was gathered and let go of the file."""
        with self._lock:
            if not self._closed:
                self._flush()
                self._closed = True
                self._connection.close()
        self._waiting.set()

    def _read(self, query: str, *values: object) -> list[Any]:
        with self._lock:
            self._flush()
            return self._connection.execute(query, values).fetchall()

    def _flush(self) -> None:
        if self._actions:
            actions, self._actions = self._actions, []
            self._connection.execute("begin immediate")
            self._connection.executemany(_PUT_ACTION, actions)
            self._connection.execute("commit")

    def _flush_later(self) -> None:
        while True:
            self._waiting.wait()
            time.sleep(_GATHER)
            self._waiting.clear()
            with self._lock:
                if self._closed:
                    return
                self._flush()


_open: dict[tuple[int, str], Database] = {}
_open_lock = threading.Lock()


def database(folder: str | None = None) -> Database:
    """The database of a folder, opened once per process: a connection does not survive a fork."""
    key = (os.getpid(), folder or home())
    with _open_lock:
        if key not in _open:
            import atexit

            _open[key] = Database(key[1])
            atexit.register(_open[key].close)
        return _open[key]
