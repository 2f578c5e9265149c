"""The SQLite file that holds the record and the kept results."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from tasksdk.errors import StoreError
from tasksdk.store.home import home
from tasksdk.store.rows import ActionRow, RunRow
from tasksdk.store.trouble import is_damage, set_aside, trouble

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

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

    Several threads and several processes may use the same file. One that is damaged is set aside, and a new one begun.
    Every method raises a `StoreError` where the file cannot be used; `patience` is how many seconds it may be locked.
    """

    def __init__(self, folder: str | None = None, patience: float = _WAIT) -> None:
        self.folder = folder or home()
        self.path = os.path.join(self.folder, "record.db")  # noqa: PTH118 - pathlib takes longer to import
        self._patience = patience
        self._lock = threading.RLock()
        self._connection = self._opened()
        self._actions: list[tuple[object, ...]] = []
        self._waiting = threading.Event()
        self._flusher: threading.Thread | None = None
        self._closed = False

    def put_run(self, run: RunRow) -> None:
        """Write a run's row."""
        row = (run.name, run.task, run.mode, run.phase, run.started, run.ended)
        with self._lock:
            self._flush()
            self._do(lambda connection: connection.execute(_PUT_RUN, row))

    def end_actions(self, run: str) -> None:
        """Whatever of a run is still said to run was killed before it could say otherwise."""
        with self._lock:
            self._flush()
            self._do(lambda connection: connection.execute(_END_ACTIONS, (time.time(), run)))

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
        query = "select outputs from results where key = ?"
        found = self._do(lambda connection: connection.execute(query, (key,)).fetchone())
        return None if found is None else found[0]

    def keep_result(self, key: bytes, outputs: bytes) -> None:
        """Keep outputs under a key."""
        row = (key, outputs, time.time())
        self._do(lambda connection: connection.execute("insert or replace into results values (?,?,?)", row))

    def put_spec(self, name: str, version: str, spec: bytes) -> None:
        """Keep a deployed task's spec under its name and version."""
        row = (name, version, spec, time.time())
        self._do(lambda connection: connection.execute("insert or replace into deployed values (?,?,?,?)", row))

    def spec(self, name: str, version: str | None) -> tuple[str, bytes] | None:
        """The version and the spec of that version, or of the one deployed last."""
        if version is None:
            found = self._read("select version, spec from deployed where name = ? order by time desc limit 1", name)
        else:
            found = self._read("select version, spec from deployed where name = ? and version = ?", name, version)
        return None if not found else (found[0][0], found[0][1])

    def close(self) -> None:
        """Write what was gathered and let go of the file; where that fails, standard error says so."""
        with self._lock:
            if not self._closed:
                self._closed = True
                try:
                    self._flush()
                except StoreError as error:
                    sys.stderr.write(f"tasksdk: the last actions are not recorded: {error}\n")
                with suppress(sqlite3.Error):
                    self._connection.close()
        self._waiting.set()

    def _opened(self) -> sqlite3.Connection:
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - as above
            try:
                return self._connected()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                return self._begun_anew()
        except (sqlite3.Error, OSError) as error:
            raise trouble(self.path, error) from None

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._patience, check_same_thread=False, isolation_level=None)
        try:
            connection.execute("pragma journal_mode=wal")
            # The record survives the end of this process in any case; a power failure may cost its last milliseconds.
            connection.execute("pragma synchronous=normal")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _begun_anew(self) -> sqlite3.Connection:
        """A file that is whole, in the place of a damaged one; several processes may find the same damage."""
        import fcntl

        with open(f"{self.path}.lock", "w") as lock:  # noqa: PTH123 - as above
            fcntl.flock(lock, fcntl.LOCK_EX)
            whole = self._whole()
            if whole is not None:
                return whole
            aside = set_aside(self.path)
            connection = self._connected()
        sys.stderr.write(f"tasksdk: the record of runs was damaged: it lies at {aside}, and a new one is begun\n")
        return connection

    def _whole(self) -> sqlite3.Connection | None:
        """The file as it is now; None where it is damaged."""
        try:
            connection = self._connected()
            try:
                if connection.execute("pragma quick_check(1)").fetchone() == ("ok",):
                    return connection
            except sqlite3.Error:
                connection.close()
                raise
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return None
        connection.close()
        return None

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Work on the file; once more where that is set aside for its damage."""
        with self._lock:
            try:
                try:
                    return work(self._connection)
                except sqlite3.DatabaseError as error:
                    with suppress(sqlite3.Error):
                        self._connection.rollback()
                    if not is_damage(error):
                        raise
                    self._connection.close()
                    self._connection = self._begun_anew()
                    return work(self._connection)
            except (sqlite3.Error, OSError) as error:
                raise trouble(self.path, error) from None

    def _read(self, query: str, *values: object) -> list[Any]:
        with self._lock:
            self._flush()
            return self._do(lambda connection: connection.execute(query, values).fetchall())

    def _flush(self) -> None:
        if self._actions:
            self._do(self._write_actions)
            self._actions = []

    def _write_actions(self, connection: sqlite3.Connection) -> None:
        connection.execute("begin immediate")
        connection.executemany(_PUT_ACTION, self._actions)
        connection.execute("commit")

    def _flush_later(self) -> None:
        while True:
            self._waiting.wait()
            time.sleep(_GATHER)
            self._waiting.clear()
            with self._lock:
                if self._closed:
                    return
                # Whoever reads or writes next is told; what was gathered is still there.
                with suppress(StoreError):
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
