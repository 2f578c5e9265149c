"""Containers without the SDK as tasks on a real Kubernetes: files in, files out, through a folder and an address."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk import ContainerTask, Dir, File, TaskEnvironment, with_runcontext
from tasksdk.errors import TaskError
from tasksdk.store.database import database
from tasksdk.values.pod import PodTemplate

from .conftest import BASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasksdk.running.runner import Runner

    from .conftest import Ward

pytestmark = pytest.mark.kube

ALL = (
    "cat /in/word /in/page; ls /in/folder; echo {{.inputs.n}} {{.inputs.page}}; cat /in/inputs.json;"
    " expr {{.inputs.n}} + 1 > /out/m; cp /in/page /out/copy; mkdir /out/made; echo one > /out/made/1"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TASKSDK_HOME", str(tmp_path / "home"))
    yield
    database().close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """The address of a store of files that pods reach too."""
    folder = tmp_path / "store"
    folder.mkdir()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent: only the own address is asked for
        here = probe.getsockname()[0]
    with socket.socket() as free:
        free.bind((here, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pyftpdlib", "-i", here, "-p", str(port), "-w", "-d", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        assert any("starting FTP server" in line for line in server.stderr)
        yield f"ftp://{here}:{port}"
        server.kill()


@pytest.fixture
def far(ward: Ward, store: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Runner]:
    """Runs at an address; the image of the helpers is made for it."""
    monkeypatch.setenv("IMAGEBUILDER_REGISTRY", ward.cluster.registry)
    engine = ward.open()
    return lambda: with_runcontext(mode="remote", engine=engine, run_base_dir=f"{store}/runs")


def shell(script: str, **settings: Any) -> ContainerTask:
    return ContainerTask("shell", BASE, ["sh", "-c", script], input_data_dir="/in", output_data_dir="/out", **settings)


def given(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "page.txt").write_text("a page\n")
    (tmp_path / "leaves").mkdir()
    (tmp_path / "leaves" / "leaf").touch()
    return {"word": "hello ", "n": 4, "page": File(tmp_path / "page.txt"), "folder": Dir(tmp_path / "leaves")}


def everything(runner: Runner, tmp_path: Path) -> None:
    task = shell(
        ALL,
        inputs={"word": str, "n": int, "page": File, "folder": Dir},
        outputs={"m": int, "copy": File, "made": Dir},
    )
    started = runner.run(task, **given(tmp_path))
    m, copy, made = started.outputs()
    assert (m, Path(copy).read_text(), os.listdir(made)) == (5, "a page\n", ["1"])
    first, second, third, document = started.action.logs()
    assert (first, second, third) == ("hello a page", "leaf", "4 /in/page")
    assert document == '{"word": "hello ", "n": 4, "page": "/in/page", "folder": "/in/folder"}'


def test_files_come_and_go_through_a_folder(remote: Callable[[], Runner], ward: Ward, tmp_path: Path) -> None:
    everything(remote(), tmp_path)
    assert ward.left() == []


def test_files_come_and_go_through_an_address(far: Callable[[], Runner], ward: Ward, tmp_path: Path) -> None:
    everything(far(), tmp_path)
    assert ward.left() == []


def test_failures_are_told_apart(far: Callable[[], Runner], ward: Ward, store: str) -> None:
    runs = {
        "exit code 3": far().run(shell("exit 3", outputs={"m": int})),
        "wrote no file m": far().run(shell("true", outputs={"m": int})),
        "'three' is not a value of type int": far().run(shell("echo three > /out/m", outputs={"m": int})),
        "no-such-file": far().run(shell("true", inputs={"page": File}), page=File(f"{store}/no-such-file")),
    }
    for said, started in runs.items():
        with pytest.raises(TaskError, match=said):
            started.outputs()
    assert ward.left() == []


@pytest.mark.parametrize(("last", "value"), [("echo 7 > /out/m", 7), ("true", None)])
def test_who_is_asked_to_end_is_done_when_its_outputs_are_there(
    ward: Ward, shared: str, last: str, value: int | None
) -> None:
    script = f"trap '{last}; exit 0' TERM; touch /out/ready; while true; do sleep 0.1; done"
    ward.settings["grace_seconds"] = 60
    runner = with_runcontext(mode="remote", engine=ward.open(), run_base_dir=shared)
    started = runner.run(shell(script, outputs={"m": int}))
    deadline = time.monotonic() + 120
    while not list(Path(shared).rglob("ready")) or ward.pod().status.phase != "Running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ward.cluster.core.delete_namespaced_pod(ward.pod().metadata.name, ward.cluster.namespace)
    if value is None:
        with pytest.raises(TaskError, match="deleted by somebody else"):
            started.outputs()
    else:
        assert started.outputs()[0] == value
    assert ward.left() == []


def test_a_companion_of_the_template_is_refused_where_it_cannot_run(far: Callable[[], Runner]) -> None:
    template = PodTemplate({"containers": [{"name": "proxy", "image": BASE}]})
    with pytest.raises(TaskError, match="proxy"):
        far().run(shell("true", pod_template=template)).outputs()


def test_a_parent_here_has_its_children_on_the_cluster(
    remote: Callable[[], Runner], ward: Ward, shared: str, image: str, tmp_path: Path
) -> None:
    plus = shell("expr {{.inputs.n}} + 1 > /out/m", inputs={"n": int}, outputs={"m": int})
    env = TaskEnvironment("hybrid")
    seen: list[str] = []

    @env.task
    def parent(n: int) -> int:
        first = plus(n=n)
        seen.append(socket.gethostname())
        return int(plus(n=first))

    started = with_runcontext(mode="hybrid", engine=ward.open(), run_base_dir=shared).run(parent, n=1)
    assert (started.outputs()[0], seen) == (3, [socket.gethostname()])
    assert ward.left() == []
