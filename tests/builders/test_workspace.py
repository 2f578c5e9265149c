from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from imagebuilder.builders.running import running
from imagebuilder.builders.workspace import workspace

HOLD = """
import sys, time
from pathlib import Path
from imagebuilder.builders.workspace import workspace
with workspace(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def holder(parent):
    return subprocess.Popen([sys.executable, "-c", HOLD, str(parent)], stdout=subprocess.PIPE, text=True)


def folders(parent):
    return sorted(parent.glob("build-*"))


def test_nothing_is_left(tmp_path):
    with workspace(tmp_path / "work") as folder:
        (folder / "file").write_text("x")
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path / "work") as folder:  # noqa: PT012
        (folder / "deep" / "er").mkdir(parents=True)
        raise KeyboardInterrupt
    assert folders(tmp_path / "work") == []


def test_folders_of_killed_processes_are_swept_and_of_living_ones_are_not(tmp_path):
    with holder(tmp_path) as dead, holder(tmp_path) as alive:
        assert dead.stdout is not None
        assert alive.stdout is not None
        dead.stdout.readline()
        path = alive.stdout.readline().strip()
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        with workspace(tmp_path), workspace(tmp_path):
            assert len(folders(tmp_path)) == 3
            assert os.path.exists(f"{path}/file")
        assert [str(folder) for folder in folders(tmp_path)] == [os.path.dirname(path)]
        alive.kill()
    with workspace(tmp_path):
        assert len(folders(tmp_path)) == 1


def test_a_folder_whose_process_died_before_it_had_a_lock(tmp_path):
    (tmp_path / "build-x").mkdir()
    with workspace(tmp_path):
        assert not (tmp_path / "build-x").exists()


def test_a_key_has_the_same_path_each_time_unless_it_is_in_use(tmp_path):
    with workspace(tmp_path, "app") as first, workspace(tmp_path, "app") as beside, workspace(tmp_path, "b") as other:
        assert len({first, beside, other}) == 3
    with workspace(tmp_path, "app") as again:
        assert again == first
    assert folders(tmp_path) == []


def test_many_threads(tmp_path):
    failures = []

    def work():
        try:
            for number in range(20):
                with workspace(tmp_path, str(number % 3)) as folder:
                    (folder / "x").write_text("x")
                    assert (folder / "x").exists()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert folders(tmp_path) == []


def sh(script):
    return running(["/bin/sh", "-c", script], os.environ)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(pid, seconds=5.0):
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


def test_a_command_is_read_and_its_code_told():
    with sh("echo out; echo one >&2; echo two >&2; exit 3") as command:
        assert b"".join(command.errors(threading.Event())) == b"one\ntwo\n"
        assert command.wait() == 3


def test_a_cancelled_command_and_its_children_end():
    cancel = threading.Event()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), sh("sleep 661 & echo $! >&2; wait") as command:  # noqa: PT012
        for piece in command.errors(cancel):
            child = int(piece)
            cancel.set()
    assert time.monotonic() - began < 300  # the child is not waited for
    assert wait_for_end(child)


def test_a_command_that_does_not_listen_is_killed(monkeypatch):
    monkeypatch.setattr("imagebuilder.builders.running._GRACE", 0.3)
    stubborn = "trap '' INT; echo $$ >&2; while :; do sleep 0.1; done"
    with pytest.raises(ZeroDivisionError), sh(stubborn) as command:  # noqa: PT012
        for piece in command.errors(threading.Event()):
            pid = int(piece)
            _ = 1 / 0
    assert wait_for_end(pid)


def test_a_command_ends_when_this_process_is_killed():
    script = """
import os, sys, threading
from imagebuilder.builders.running import running
with running(["/bin/sh", "-c", "echo $$ >&2; exec sleep 62"], os.environ) as command:
    for piece in command.errors(threading.Event()):
        print(piece.decode(), end="", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert alive(child)
        process.kill()
    assert wait_for_end(child)


def test_a_command_that_is_not_there_leaves_no_file_open():
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError), running(["/no/such/command"], os.environ):
        pass
    assert len(os.listdir("/proc/self/fd")) == before
