"""Files of secrets: there while a task runs, and not a moment longer."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tasksdk import Secret, TaskEnvironment, run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

env = TaskEnvironment("mounted")


def test_a_killed_client_leaves_no_secret(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom tasksdk import Secret, TaskEnvironment, run\nenv = TaskEnvironment('killed')\n"
        "@env.task(secrets=Secret('token', 'team', mount=sys.argv[1]))\ndef waits() -> None:\n"
        "    print(open(sys.argv[1]).read(), flush=True)\n    time.sleep(1000)\nrun(waits)\n"
    )
    (tmp_path / "script.py").write_text(script)
    mount = tmp_path / "deep" / "folder" / "secret"
    environ = {**os.environ, "TEAM_TOKEN": "hunter2-mounted"}
    command = [sys.executable, str(tmp_path / "script.py"), str(mount)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "hunter2-mounted\n"
        client.kill()
    while mount.exists():
        os.sched_yield()


def test_a_mounted_secret_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "hunter2-mounted")
    mount = tmp_path / "deep" / "folder" / "secret"

    @env.task(secrets=Secret("token", "team", mount=str(mount)))
    def reads() -> str:
        return mount.read_text()

    assert run(reads).outputs()[0] == "hunter2-mounted"
    assert not (tmp_path / "deep").exists()
