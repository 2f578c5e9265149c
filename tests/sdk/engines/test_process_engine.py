"""What the process engine does beyond the contract."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tasksdk.engines import lines
from tasksdk.engines.attempt import AttemptSpec, Exit, ExitReason, SecretValue
from tasksdk.engines.process import ProcessEngine

if TYPE_CHECKING:
    import pytest


def _spec(script: str, **settings: object) -> AttemptSpec:
    return AttemptSpec(name="r-a-1", run="r", action="a", attempt=1, task="t", argv=("bash", "-c", script), **settings)


def _run(spec: AttemptSpec) -> tuple[Exit, list[str]]:
    async def story() -> tuple[Exit, list[str]]:
        engine = ProcessEngine(grace=0.2)
        await engine.submit(spec)
        kept = [line.text async for line in engine.logs(spec.name)]
        ends = [event.exit async for event in engine.watch(spec.name)]
        await engine.close()
        assert ends[-1] is not None
        return ends[-1], kept

    return asyncio.run(story())


def test_variables_and_secrets_are_there_and_gone(tmp_path: Path) -> None:
    mount = tmp_path / "token"
    secrets = (SecretValue("a", "hunter2", variable="TOKEN"), SecretValue("b", "hunter3", mount=str(mount)))
    end, lines = _run(
        _spec(
            f"echo $COLOUR; test $TOKEN = hunter2 && test $(cat {mount}) = hunter3",
            env={"COLOUR": "red"},
            secrets=secrets,
        )
    )
    assert (end.reason, lines) == (ExitReason.COMPLETED, ["red"])
    assert not mount.exists()


def test_a_signal_is_told() -> None:
    end, _ = _run(_spec("kill -SEGV $$"))
    assert (end.reason, end.signal) == (ExitReason.SIGNALED, 11)


def test_what_cannot_start_is_told() -> None:
    spec = _spec("").replace(argv=("/no/such/program",))
    assert _run(spec)[0].reason is ExitReason.NOT_STARTED
    assert _run(spec.replace(argv=()))[0].reason is ExitReason.NOT_STARTED


def test_who_leaves_the_group_is_found(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    script = f"setsid sleep 1000 & echo $! > {pidfile}; echo started"
    end, lines = _run(_spec(script))
    assert (end.reason, lines) == (ExitReason.COMPLETED, ["started"])
    pid = pidfile.read_text().strip()
    state = Path("/proc", pid, "stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_who_ignores_to_be_asked_is_killed() -> None:
    end, lines = _run(_spec("trap '' TERM; echo deaf; while true; do sleep 0.1; done", max_runtime=0.5))
    assert (end.reason, lines) == (ExitReason.TIMED_OUT, ["deaf"])


def test_long_and_odd_output_is_kept() -> None:
    end, lines = _run(_spec("printf 'no end'; head -c 200000 /dev/zero | tr '\\0' x; printf '\\xff\\r\\nlast'"))
    assert end.reason is ExitReason.COMPLETED
    assert lines[0].startswith("no endxxx")
    assert "".join(lines).count("x") == 200000
    assert lines[-1] == "last"


def test_a_killed_client_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
import asyncio
from tasksdk.engines.attempt import AttemptSpec
from tasksdk.engines.process import ProcessEngine
async def story():
    engine = ProcessEngine()
    script = "echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; setsid sleep 1000 & sleep 1000"
    spec = AttemptSpec(name="k-a-1", run="k", action="a", attempt=1, task="t", argv=("bash", "-c", script))
    await engine.submit(spec)
    await asyncio.sleep(1000)
asyncio.run(story())
"""
    pid = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", program]) as client:
        while not pid.exists():
            os.sched_yield()
        client.kill()
    while _marked("k-a-1"):
        os.sched_yield()


def _marked(name: str) -> list[str]:
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TASKSDK_ATTEMPT_NAME={name}".encode() in environ.read_bytes():
                found.append(str(environ))
        except OSError:
            continue
    return found


def test_output_that_is_held_open_does_not_hold_up_the_end(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    # It leaves the group, the environment and, as its parents end first, the family.
    script = f"(env -i setsid sh -c 'echo $$ > {pidfile}; exec sleep 1000' &); while [ ! -s {pidfile} ]; do :; done"
    end, _ = _run(_spec(script))
    assert end.reason is ExitReason.COMPLETED
    os.kill(int(pidfile.read_text()), 9)


def test_output_without_end_is_kept_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "FIRST_BYTES", 100)
    monkeypatch.setattr(lines, "LAST_BYTES", 100)
    end, kept = _run(_spec("seq 100000; printf 'no end' >&2"))
    assert end.reason is ExitReason.COMPLETED
    assert kept[0] == "1"
    assert {"99999", "100000", "no end"} <= set(kept[-20:])
    assert [line for line in kept if line.endswith("lines are left out ...")]
    assert len(kept) < 100


def test_a_fork_bomb_within_limits_is_ended() -> None:
    # Each process starts another in a session of its own and ends, so that no group and no parent knows them.
    bomb = 'chain() { setsid bash -c "$(declare -f chain); sleep 0.01; chain" & }; chain; chain; chain; echo started; '
    end, _ = _run(_spec(bomb + "sleep 1000", max_runtime=1))
    assert end.reason is ExitReason.TIMED_OUT
    assert not _marked("r-a-1")
