"""What becomes of attempts on a real Kubernetes whose client is killed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tasksdk.engines.attempt import ExitReason, SecretValue
from tasksdk.errors import EngineError

from .conftest import BASE, told

if TYPE_CHECKING:
    from .conftest import Told, Ward

pytestmark = pytest.mark.kube

CLIENT = """
import asyncio, sys
from tasksdk.engines.attempt import AttemptSpec, SecretValue
from tasksdk.engines.registry import open_engine

async def story(namespace, name, script, runtime, keep):
    settings = {"namespace": namespace, "keep_seconds": int(keep), "start_seconds": 0, "grace_seconds": 1}
    engine = open_engine("kubernetes", settings)
    secrets = (SecretValue("k", "v", variable="K"),)
    await engine.submit(AttemptSpec(name=name, run="run", action=name, attempt=1, task="t", image=sys.argv[-1],
        argv=("sh", "-c", script), max_runtime=float(runtime), secrets=secrets))
    async for event in engine.watch(name):
        print(event.phase, flush=True)

asyncio.run(story(*sys.argv[1:-1]))
"""


def killed_client(ward: Ward, name: str, script: str, runtime: float = 1000, keep: int = 600) -> None:
    """Submit an attempt from a process that is killed as soon as it runs."""
    args = [sys.executable, "-c", CLIENT, ward.cluster.namespace, name, script, str(runtime), str(keep), BASE]
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert any(line.strip() == "running" for line in client.stdout)
        client.kill()


def joined(ward: Ward, name: str, script: str) -> Told:
    """What a new client finds that submits the same attempt."""
    secret = SecretValue("k", "v", variable="K")
    return ward.run(ward.sh(name, script, secrets=(secret,)))


def test_who_submits_again_joins_what_runs(ward: Ward) -> None:
    script = "echo begun on $HOSTNAME; sleep 2; exit 5"
    killed_client(ward, "join-1", script)
    host = ward.pod().metadata.name
    again = joined(ward, "join-1", script)
    assert (again.end.reason, again.end.code) == (ExitReason.ERROR, 5)
    assert again.lines == [f"begun on {host}"]
    assert ward.left() == []


def test_who_submits_again_joins_what_ended(ward: Ward) -> None:
    killed_client(ward, "ended-1", "echo once")
    deadline = time.monotonic() + 60
    while not ward.cluster.batch.read_namespaced_job("ended-1", ward.cluster.namespace).status.succeeded:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    again = joined(ward, "ended-1", "echo twice")
    assert (again.end.reason, again.lines) == (ExitReason.COMPLETED, ["once"])
    assert ward.left() == []


def test_what_ended_here_is_started_anew(ward: Ward) -> None:
    async def story() -> list[Told]:
        engine = ward.open()
        found = []
        for _ in range(2):
            assert not await engine.submit(ward.sh("twice-1", "echo on $HOSTNAME"))
            found.append(await told(engine, "twice-1"))
        await engine.close()
        return found

    first, second = asyncio.run(story())
    assert first.lines != second.lines
    assert ward.left() == []


def test_the_cluster_keeps_the_bound_for_a_client_that_is_gone(ward: Ward) -> None:
    killed_client(ward, "bound-1", "sleep 1000", runtime=2)
    assert joined(ward, "bound-1", "sleep 1000").end.reason is ExitReason.TIMED_OUT
    assert ward.left() == []


def test_the_cluster_clears_up_after_a_client_that_is_gone(ward: Ward) -> None:
    killed_client(ward, "alone-1", "sleep 1", keep=0)
    deadline = time.monotonic() + 120
    while ward.left():
        assert time.monotonic() < deadline, ward.left()
        time.sleep(0.5)


def test_an_attempt_of_another_client_can_be_watched_and_aborted(ward: Ward) -> None:
    killed_client(ward, "theirs-1", "trap 'exit 143' TERM; echo begun; sleep 1000 & wait")

    async def story() -> Told:
        engine = ward.open()
        try:
            return await told(engine, "theirs-1", lambda: engine.abort("theirs-1", "enough"))
        finally:
            await engine.close()

    assert asyncio.run(story()).end.reason is ExitReason.ABORTED
    assert ward.left() == []


def test_a_job_that_is_not_ours_is_left_alone(ward: Ward) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": BASE, "command": ["sleep", "1000"]}]}
    theirs = {"metadata": {"name": "taken-1"}, "spec": {"template": {"spec": pod}}}
    ward.cluster.batch.create_namespaced_job(ward.cluster.namespace, theirs)
    with pytest.raises(EngineError, match="taken-1"):
        ward.run(ward.sh("taken-1", "true"))
    assert ward.cluster.batch.read_namespaced_job("taken-1", ward.cluster.namespace)


def test_a_namespace_that_is_not_there_is_named(ward: Ward) -> None:
    ward.settings["namespace"] = "nowhere"
    with pytest.raises(EngineError, match="nowhere"):
        ward.run(ward.sh("lost-1", "true"))


def test_a_login_that_runs_out_is_renewed(ward: Ward, tmp_path: Path) -> None:
    """A program gives the token, as on the clouds: the first one is not valid, and the last one is."""
    ours = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    script, tries = tmp_path / "login", tmp_path / "tries"
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    good, bad = ours["users"][0]["user"]["token"], "outlived"
    answers = [json.dumps({**credential, "status": {"token": token}}) for token in (bad, good)]
    script.write_text(
        f"#!/bin/sh\nif [ -e {tries} ]; then echo '{answers[1]}'; else touch {tries}; echo '{answers[0]}'; fi\n"
    )
    script.chmod(0o755)
    login = {"apiVersion": credential["apiVersion"], "command": str(script), "interactiveMode": "Never"}
    ours["users"][0]["user"] = {"exec": login}
    ward.settings["kubeconfig"] = str(tmp_path / "kubeconfig")
    Path(ward.settings["kubeconfig"]).write_text(yaml.safe_dump(ours))
    assert ward.run(ward.sh("renewed-1", "echo in")).lines == ["in"]


def test_a_user_that_is_not_known_is_told(ward: Ward, tmp_path: Path) -> None:
    ours = Path(os.environ["KUBECONFIG"]).read_text()
    token = yaml.safe_load(ours)["users"][0]["user"]["token"]
    ward.settings["kubeconfig"] = str(tmp_path / "kubeconfig")
    Path(ward.settings["kubeconfig"]).write_text(ours.replace(token, "nobody"))
    with pytest.raises(EngineError, match="does not know this user") as failure:
        ward.run(ward.sh("nobody-1", "true"))
    assert "nobody" not in str(failure.value)


def test_a_cluster_that_is_not_there_is_named(ward: Ward, tmp_path: Path) -> None:
    ward.settings["kubeconfig"] = f"{tmp_path}/none"
    with pytest.raises(EngineError, match="none"):
        ward.run(ward.sh("lost-1", "true"))
