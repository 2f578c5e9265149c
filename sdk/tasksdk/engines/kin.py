"""Ends a process and all that came of it, also what left its group and forgot its environment."""

from __future__ import annotations

import os
import signal

MARK = "TASKSDK_ATTEMPT_NAME"
_LOOKS = 2
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, where the system knows that (Linux)."""
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """Kill all descendants of this process, and wait for them."""
    while True:
        for pid in _descendants(_parents(), {os.getpid()}):
            _send(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def end_group(group: int, name: str) -> None:
    """Kill what came of an attempt, and its process group where there are no marks to be read."""
    end_marked(name)
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def end_marked(name: str) -> None:
    """Kill every process that carries an attempt's mark in its environment, and all of their descendants.

    Those that others descend from are held still and go last: as long as they are there, whoever is orphaned is
    found below them. One process may start another meanwhile, so this looks until nothing is left, and once more.
    """
    marked = f"{MARK}={name}".encode()
    missed = 0
    while missed < _LOOKS:
        parents = _parents()
        known = {pid for pid in parents if marked in _environment(pid)}
        if not known:
            missed += 1
            continue
        missed = 0
        found = known | _descendants(parents, known)
        heads = {pid for pid in found if parents[pid] not in found}
        for pid in found:
            _send(pid, signal.SIGSTOP)
        for pid in found - heads or heads:
            _send(pid, signal.SIGKILL)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return  # it has ended, or became somebody else's


def _descendants(parents: dict[int, int], roots: set[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found and pid not in roots:
                found.add(pid)
                waiting.append(pid)
    return found


def _environment(pid: int) -> list[bytes]:
    # That of a process that has ended, but was not waited for, is empty.
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - pathlib takes longer to import
            return file.read().split(b"\0")
    except OSError:
        return []


def _parents() -> dict[int, int]:
    """The parent of each process that still runs; empty on a system without /proc."""
    found = {}
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - names alone are needed
    except OSError:
        return {}
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - as above
                # "pid (command) state parent ...": the command may hold anything, also parentheses.
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state not in {b"Z", b"X"}:
            found[int(name)] = int(parent)
    return found
