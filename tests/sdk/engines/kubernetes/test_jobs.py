"""Attempts on a real Kubernetes: what they are given, and how they end."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING

import pytest
from tasksdk.engines.attempt import ExitReason, Mount, Phase, SecretValue
from tasksdk.values.pod import PodTemplate
from tasksdk.values.resources import Resources

from imagebuilder import Image
from imagebuilder.api import build

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Ward

pytestmark = pytest.mark.kube


def test_an_image_that_imagebuilder_made_runs_by_its_digest(ward: Ward, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(
        "import os, sys\nprint('hello', *sys.argv[1:], os.environ['WHO'], os.getcwd())\n"
    )
    image = Image.from_base(
        f"{ward.cluster.registry}/library/python:3.11-slim-bookworm", name=f"kube/{uuid.uuid4().hex}"
    )
    (made,) = build(image.with_source_file(tmp_path / "hello.py", "/app/hello.py"), registry=ward.cluster.registry)
    spec = ward.spec(
        "hello-1",
        "python",
        "/app/hello.py",
        "$(WHO)",
        image=f"{made.uri}@{made.digest}",
        env={"WHO": "$5"},
        workdir="/tmp",
    )
    told = ward.run(spec)
    assert (told.end.reason, told.end.code, told.lines) == (ExitReason.COMPLETED, 0, ["hello $(WHO) $5 /tmp"])
    assert [event.phase for event in told.events][-2:] == [Phase.RUNNING, Phase.SUCCEEDED]
    assert ward.left() == []


def test_resources_hold(ward: Ward) -> None:
    script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; df -k /dev/shm"
    told = ward.run(ward.sh("limits-1", script, resources=Resources(cpu="100m", memory="96Mi", shm="32Mi")))
    assert str(96 * 2**20) in told.lines
    assert any(line.startswith("tmpfs") for line in told.lines)


def test_secrets_arrive_and_show_nowhere(ward: Ward) -> None:
    secrets = (
        SecretValue("one", "hunter2-variable", variable="ONE"),
        SecretValue("two", "hunter2-file\n", mount="/etc/creds/two"),
    )
    seen: list[str] = []

    async def look() -> None:
        name, core = ward.cluster.namespace, ward.cluster.core
        objects = [
            ward.pod(),
            *ward.cluster.batch.list_namespaced_job(name).items,
            *core.list_namespaced_event(name).items,
        ]
        seen.extend(json.dumps(one.to_dict(), default=str) for one in objects)
        (secret,) = core.list_namespaced_secret(name).items
        assert [owner.kind for owner in secret.metadata.owner_references] == ["Job"]

    told = ward.run(ward.sh("secret-1", "echo $ONE | rev; rev /etc/creds/two; sleep 2", secrets=secrets), look)
    assert told.lines == ["elbairav-2retnuh", "elif-2retnuh"]
    assert len(seen) > 2
    assert "hunter2" not in "".join(seen)
    assert ward.left() == []


def test_folders_of_shared_storage_are_there(ward: Ward, tmp_path: Path) -> None:
    for name in ("out", "in"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "x").write_text("given")
    ward.settings["storage"] = [{"path": str(tmp_path), "volume": {"hostPath": {"path": str(tmp_path)}}}]
    told = ward.run(
        ward.sh(
            "folders-1",
            f"cat /var/inputs/x > {tmp_path}/out/y; touch /var/inputs/z",
            folders=(str(tmp_path / "out"), "s3://bucket/raw"),
            mounts=(Mount(str(tmp_path / "in"), "/var/inputs", read_only=True),),
        )
    )
    assert told.end.reason is ExitReason.ERROR
    assert (tmp_path / "out" / "y").read_text() == "given"
    assert not (tmp_path / "in" / "z").exists()


def test_a_template_of_the_cluster_is_a_pod_s_base(ward: Ward) -> None:
    spec = {"containers": [{"name": "main", "env": [{"name": "FROM", "value": "the template"}]}]}
    template = {"metadata": {"name": "ours"}, "template": {"metadata": {"labels": {"team": "a"}}, "spec": spec}}
    for one in spec["containers"]:
        one["image"] = "replaced"
    ward.cluster.core.create_namespaced_pod_template(ward.cluster.namespace, template)
    assert ward.run(ward.sh("named-1", "echo $FROM", pod_template="ours")).lines == ["the template"]
    missing = ward.run(ward.sh("missing-1", "true", pod_template="nobody-s"))
    assert missing.end.reason is ExitReason.NOT_STARTED
    assert "nobody-s" in missing.end.message


def test_a_helper_that_never_ends_does_not_hold_the_task_up(ward: Ward) -> None:
    helper = {"name": "helper", "image": ward.spec("x").image, "command": ["sleep", "1000"]}
    template = PodTemplate({"containers": [helper]})
    told = ward.run(ward.sh("helped-1", "echo done", pod_template=template))
    assert (told.end.reason, told.lines) == (ExitReason.COMPLETED, ["done"])
    assert ward.left() == []


@pytest.mark.parametrize(
    ("script", "reason", "code", "signal"),
    [
        ("exit 3", ExitReason.ERROR, 3, None),
        ("sh -c 'kill -SEGV $$'", ExitReason.SIGNALED, 139, 11),
        ("exec /no/such/program", ExitReason.ERROR, 127, None),
    ],
)
def test_ends_are_told_apart(ward: Ward, script: str, reason: ExitReason, code: int, signal: int | None) -> None:
    end = ward.run(ward.sh("ends-1", script)).end
    assert (end.reason, end.code, end.signal) == (reason, code, signal)


def test_memory_is_told_apart_from_a_kill(ward: Ward) -> None:
    greedy = "x = bytearray(10**9); x[::4096] = b'1' * len(x[::4096])"
    end = ward.run(ward.spec("oom-1", "python", "-c", greedy, resources=Resources(memory="64Mi"))).end
    assert (end.reason, end.code) == (ExitReason.OUT_OF_MEMORY, 137)


def test_memory_of_a_child_is_told_too(ward: Ward) -> None:
    greedy = "python -c \"x = bytearray(10**9); x[::4096] = b'1' * len(x[::4096])\" || exit 1"
    end = ward.run(ward.sh("oom-2", greedy, resources=Resources(memory="64Mi"))).end
    assert (end.reason, end.code) == (ExitReason.OUT_OF_MEMORY, 1)


def test_a_program_that_is_not_there_was_not_started(ward: Ward) -> None:
    end = ward.run(ward.spec("no-1", "nothing-of-that-name")).end
    assert end.reason is ExitReason.NOT_STARTED
    assert "nothing-of-that-name" in end.message


def test_a_full_cluster_is_waited_for_no_longer_than_said(ward: Ward) -> None:
    told = ward.run(ward.sh("queued-1", "true", resources=Resources(cpu=500), max_queued=1))
    assert (told.end.reason, told.end.phase) == (ExitReason.QUEUED_TOO_LONG, Phase.TIMED_OUT)
    assert "Insufficient cpu" in told.end.message
    assert ward.left() == []


def test_a_quota_that_keeps_the_pod_away_is_named(ward: Ward) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    ward.cluster.core.create_namespaced_resource_quota(ward.cluster.namespace, quota)
    told = ward.run(ward.sh("quota-1", "true", max_queued=6))
    assert told.end.reason is ExitReason.QUEUED_TOO_LONG
    assert "exceeded quota" in told.end.message
    assert ward.left() == []


def test_a_late_task_is_killed(ward: Ward) -> None:
    told = ward.run(ward.sh("late-1", "trap '' TERM; echo begun; sleep 1000", max_runtime=2))
    assert (told.end.reason, told.lines) == (ExitReason.TIMED_OUT, ["begun"])
    assert ward.left() == []


def test_an_abort_leaves_nothing(ward: Ward) -> None:
    async def story() -> None:
        engine = ward.open()
        secret = SecretValue("k", "v", variable="K")
        await engine.submit(ward.patient("abort-1", secrets=(secret,)))
        async for event in engine.watch("abort-1"):
            if event.phase is Phase.RUNNING:
                await engine.abort("abort-1", "enough")
        assert event.exit is not None
        assert (event.exit.reason, event.exit.message) == (ExitReason.ABORTED, "enough")
        await engine.close()

    asyncio.run(story())
    assert ward.left() == []


def test_much_output_and_long_lines_come_whole(ward: Ward) -> None:
    script = "[print(n) for n in range(20000)]; print('x' * 100000); print('end')"
    told = ward.run(ward.spec("much-1", "python", "-uc", script))
    assert len(told.lines) == 20002
    assert told.lines[:20000] == [str(n) for n in range(20000)]
    assert told.lines[20000:] == ["x" * 100000, "end"]


def test_a_line_without_end_is_cut(ward: Ward) -> None:
    told = ward.run(ward.sh("endless-1", "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end"))
    assert told.end.reason is ExitReason.COMPLETED
    assert told.lines[0].startswith("xxx")
    assert max(len(line) for line in told.lines) <= 2**20
    assert told.lines[-1] == "end"


def test_output_is_there_after_the_end(ward: Ward) -> None:
    async def story() -> list[str]:
        engine = ward.open()
        await engine.submit(ward.sh("after-1", "echo one; echo two"))
        assert [event.phase async for event in engine.watch("after-1")][-1] is Phase.SUCCEEDED
        lines = [line.text async for line in engine.logs("after-1")]
        await engine.close()
        return lines

    assert asyncio.run(story()) == ["one", "two"]
