"""What the docker engine does beyond the contract, in real containers."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tasksdk import Resources
from tasksdk.engines.attempt import AttemptSpec, Exit, ExitReason, SecretValue
from tasksdk.engines.docker import DockerEngine

pytestmark = pytest.mark.e2e
IMAGE = f"{os.environ.get('IMAGEBUILDER_TEST_REGISTRY', 'localhost:5000')}/library/python:3.11-slim-bookworm"


def _spec(script: str, **settings: object) -> AttemptSpec:
    name = f"beyond-{os.urandom(6).hex()}-1"
    given: dict[str, object] = {"image": IMAGE, "argv": ("bash", "-c", script), **settings}
    return AttemptSpec(name, "r", "a", 1, "t", **given)


def _run(spec: AttemptSpec, engine: DockerEngine | None = None) -> tuple[Exit, list[str]]:
    engine = engine or DockerEngine()

    async def story() -> tuple[Exit, list[str]]:
        await engine.submit(spec)
        lines = [line.text async for line in engine.logs(spec.name)]
        ends = [event.exit async for event in engine.watch(spec.name)]
        await engine.close()
        assert ends[-1] is not None
        return ends[-1], lines

    return asyncio.run(story())


def _containers(name: str) -> str:
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"label=tasksdk.attempt={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_variables_secrets_and_folders(tmp_path: Path) -> None:
    secrets = (SecretValue("a", "hunter2", variable="TOKEN"), SecretValue("b", "hunter3", mount="/run/own/token"))
    script = f"echo $COLOUR; test $TOKEN = hunter2 && test $(cat /run/own/token) = hunter3 && echo out > {tmp_path}/out"
    spec = _spec(script, env={"COLOUR": "red"}, secrets=secrets, folders=(str(tmp_path),))
    end, lines = _run(spec)
    assert (end.reason, lines) == (ExitReason.COMPLETED, ["red"])
    assert (tmp_path / "out").read_text() == "out\n"
    assert (tmp_path / "out").stat().st_uid == os.getuid()
    assert _containers(spec.name) == ""


def test_memory_is_bounded_and_its_end_is_told_apart() -> None:
    script = 'python3 -c "x = bytearray(400 << 20); print(len(x))"'
    end, _ = _run(_spec(script, resources=Resources(memory="64Mi")))
    assert (end.reason, end.code) == (ExitReason.OUT_OF_MEMORY, 137)


def test_cpus_and_shared_memory_are_those_asked_for() -> None:
    quota = "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null"
    script = f"{quota} | cut -d' ' -f1; df -B1 --output=size /dev/shm | tail -1"
    _, lines = _run(_spec(script, resources=Resources(cpu="500m", shm="32Mi")))
    assert [line.strip() for line in lines] == ["50000", str(32 << 20)]


@pytest.mark.parametrize("image", ["localhost:5000/no/such/image:1", "NOT A REFERENCE"])
def test_an_image_that_is_not_there_is_told_at_once(image: str) -> None:
    end, _ = _run(_spec("true", image=image))
    assert end.reason is ExitReason.IMAGE_UNAVAILABLE
    assert image in end.message


def test_a_signal_is_told() -> None:
    end, _ = _run(_spec("kill -SEGV $$"))
    assert (end.reason, end.signal) == (ExitReason.SIGNALED, 11)


def test_a_child_that_was_killed_for_its_memory_is_not_the_task() -> None:
    script = 'python3 -c "x = bytearray(400 << 20)"; echo it ended by $?'
    end, lines = _run(_spec(script, resources=Resources(memory="64Mi")))
    assert "it ended by 137" in lines
    assert (end.reason, end.code) == (ExitReason.COMPLETED, 0)


def test_a_fork_bomb_is_a_failure_of_its_task() -> None:
    bomb = "import os\nwhile True: os.fork()"
    end, lines = _run(_spec("", argv=("python3", "-c", bomb)), DockerEngine(processes=100))
    assert (end.reason, end.code) == (ExitReason.ERROR, 1)
    assert any("BlockingIOError" in line for line in lines)


def test_a_client_of_docker_that_is_killed_is_no_end(tmp_path: Path) -> None:
    script = f"echo begun; until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo more; exit 3"
    spec = _spec(script, folders=(str(tmp_path),))

    async def story() -> tuple[Exit | None, list[str]]:
        engine = DockerEngine()
        await engine.submit(spec)
        lines = []
        async for line in engine.logs(spec.name):
            if line.text == "begun":
                for pid in _commands("docker", "start", spec.name):
                    os.kill(pid, 9)
            elif "was ended" in line.text:
                (tmp_path / "go").touch()
            lines.append(line.text)
        ends = [event.exit async for event in engine.watch(spec.name)]
        await engine.close()
        return ends[-1], lines

    end, lines = asyncio.run(story())
    assert end is not None
    assert (end.reason, end.code) == (ExitReason.ERROR, 3)
    assert lines[0] == "begun"
    assert "was ended" in lines[1]
    assert _containers(spec.name) == ""


def _failing_once(tmp_path: Path, word: str) -> str:
    """The docker command as it is while its service is started anew: at this word, once a container has begun."""
    wrapper = tmp_path / "docker"
    wrapper.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = start ]; then touch {tmp_path}/started; fi\n'
        f'if [ "$1" = {word} ] && [ -e {tmp_path}/started ] && mkdir {tmp_path}/refused 2>/dev/null; then\n'
        "echo 'Cannot connect to the Docker daemon' >&2; exit 1; fi\n"
        f'exec {shutil.which("docker")} "$@"\n'
    )
    wrapper.chmod(0o755)
    return str(wrapper)


def test_a_docker_that_does_not_answer_for_a_while_is_asked_again(tmp_path: Path) -> None:
    end, _ = _run(_spec("exit 5"), DockerEngine(command=_failing_once(tmp_path, "container")))
    assert (tmp_path / "refused").exists()
    assert (end.reason, end.code) == (ExitReason.ERROR, 5)


def test_a_container_that_could_not_be_removed_is_removed_when_the_client_ends(tmp_path: Path) -> None:
    spec = _spec("exit 6")
    end, _ = _run(spec, DockerEngine(command=_failing_once(tmp_path, "rm")))
    assert (end.reason, end.code) == (ExitReason.ERROR, 6)
    assert (tmp_path / "refused").exists()
    assert _containers(spec.name) == ""


def _commands(*words: str) -> list[int]:
    """The processes with these words in their command."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if set(words) <= set(cmdline.read_text().split("\0")):
                found.append(int(cmdline.parent.name))
        except OSError:
            continue
    return found


def test_no_such_program_is_told() -> None:
    assert _run(_spec("", argv=("/no/such/program",)))[0].reason in {ExitReason.NOT_STARTED, ExitReason.ERROR}


def test_a_killed_client_leaves_no_container(tmp_path: Path) -> None:
    spec = _spec(f"echo started > {tmp_path}/started; sleep 1000", folders=(str(tmp_path),))
    program = f"""
import asyncio
from tasksdk.engines.attempt import AttemptSpec
from tasksdk.engines.docker import DockerEngine
async def story():
    spec = AttemptSpec({spec.name!r}, "r", "a", 1, "t", {spec.argv!r}, image={IMAGE!r}, folders={spec.folders!r})
    await DockerEngine().submit(spec)
    await asyncio.sleep(1000)
asyncio.run(story())
"""
    with subprocess.Popen([sys.executable, "-c", program]) as client:
        while not (tmp_path / "started").exists():
            os.sched_yield()
        client.kill()
    while _containers(spec.name):
        os.sched_yield()
