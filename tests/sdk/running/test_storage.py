"""Runs whose files lie elsewhere, and tasks that give files: local, and in a real server that speaks S3."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk import with_runcontext

if TYPE_CHECKING:
    from types import ModuleType

MODULE = """
import tempfile
from pathlib import Path
from tasksdk import Dir, File, TaskEnvironment, ctx

env = TaskEnvironment("stored")

def _written(text):
    folder = Path(tempfile.mkdtemp())
    (folder / "inner").mkdir()
    (folder / "inner" / "out.txt").write_text(text)
    return folder / "inner"

@env.task(report=True, retries=1)
def makes(x: int) -> File:
    print("makes", x)
    kept = ctx().checkpoint.load()
    if kept is None:
        ctx().checkpoint.save(b"kept")
        raise RuntimeError("once more")
    ctx().report.log("<p>page</p>")
    return File(str(_written(f"{x} {kept.decode()}") / "out.txt"))

@env.task
async def makes_later(x: int) -> File:
    return File(str(_written(str(x)) / "out.txt"))

@env.task
def makes_folder(x: int) -> Dir:
    return Dir(str(_written(str(x))))

@env.task
def reads(file: File) -> str:
    return Path(file.download()).read_text()

@env.task
async def passes_on(x: int) -> list[str]:
    made, own = await makes_later(x), File(str(_written("own") / "out.txt"))
    return [reads(made), await reads.aio(own)]
"""


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "stored_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("stored_module", None)
    return importlib.import_module("stored_module")


def _tell(stored: ModuleType, mode: Any, folder: str) -> None:
    def run(task: Any, *args: Any) -> Any:
        return with_runcontext(mode=mode, run_base_dir=folder).run(task, *args)

    made = run(stored.makes, 3)
    file = made.outputs()[0]
    assert file.path.startswith(folder)
    assert Path(file.download()).read_text() == "3 kept"
    assert made.action.attempts == 2
    assert "<p>page</p>" in made.action.report.read_text()
    assert list(made.logs()) == ([] if mode == "local" else ["[stored.makes] makes 3"])
    assert run(stored.reads, file).outputs()[0] == "3 kept"
    assert run(stored.reads, run(stored.makes_later, 4).outputs()[0]).outputs()[0] == "4"
    passed = run(stored.passes_on, 6)
    assert passed.outputs()[0] == ["6", "own"]
    assert len(passed.actions) == 4
    folder_made = run(stored.makes_folder, 5).outputs()[0]
    assert Path(folder_made.download(), "out.txt").read_text() == "5"


@pytest.mark.parametrize("mode", ["local", "remote"])
def test_tasks_give_files(stored: ModuleType, tmp_path: Path, mode: str) -> None:
    _tell(stored, mode, str(tmp_path / "runs"))


def test_a_file_is_given_by_a_coroutine_too(stored: ModuleType) -> None:
    async def story() -> Any:
        return await with_runcontext(mode="local").run.aio(stored.makes_later, 6)

    assert Path(asyncio.run(story()).outputs()[0].download()).read_text() == "6"


SCENARIO = """
import os, sys
from pathlib import Path
from typing import Any
import s3fs, stored_module
from moto.server import ThreadedMotoServer
from tasksdk import with_runcontext

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
os.environ["AWS_ENDPOINT_URL"] = "http://%s:%d" % server.get_host_and_port()
s3fs.S3FileSystem().mkdir("bucket")
for mode in ("local", "remote"):
    _tell(stored_module, mode, "s3://bucket/runs")
print(len(s3fs.S3FileSystem().find("bucket/runs")) > 20)
server.stop()
"""


@pytest.mark.e2e
def test_a_run_lies_in_s3(stored: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "scenario.py").write_text(f"from __future__ import annotations\n{inspect.getsource(_tell)}\n{SCENARIO}")
    top = Path(__file__).parents[3]
    # The clients of S3 and pandas need different versions of one package: this environment has the former alone.
    environment = ["--with-editable", str(top), "--with-editable", f"{top / 'sdk'}[s3]", "--with", "moto[s3,server]"]
    uv = ["uv", "run", "--quiet", "--no-project", "--isolated", "--python", "3.11", *environment]
    variables = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "word", "AWS_DEFAULT_REGION": "us-east-1"}
    ran = subprocess.run(
        [*uv, "python", "scenario.py"],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines()[-1:] == ["True"], ran.stderr[-4000:]
