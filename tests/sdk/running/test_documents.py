"""The code of the documents that the SDK follows runs, with nothing changed but the imports."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tasksdk import Resources, Timeout, run
from tasksdk.literals import to_literals, to_value
from tasksdk.wire import read_map, write_map

if TYPE_CHECKING:
    from types import ModuleType

DOCUMENTS = Path(__file__).parents[3] / "fixtures" / "task_documents"


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def] # imports by name
    monkeypatch.syspath_prepend(str(DOCUMENTS))

    def load(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        try:
            return importlib.import_module(name)
        finally:
            sys.modules.pop(name, None)

    return load


def test_environments(document) -> None:  # type: ignore[no-untyped-def] # a fixture
    found = document("environments")
    clone = found.production_env
    assert (clone.name, clone.image, clone.reusable) == (
        "my-ml-production-env",
        found.my_base_env.image,
        found.my_base_env.reusable,
    )
    assert (clone.resources, clone.cache) == (Resources(cpu="2", memory="4Gi", gpu="T4:1"), "override")
    assert found.my_base_env.cache is None


def test_tasks(document, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def] # a fixture
    found = document("tasks")
    assert run(found.fetch_raw_data, "here").outputs()[0] == "Data from here"
    assert found.fetch_raw_data.short_name == "fetch-data"
    assert run(found.process_data, raw_data="abc", threshold=2).outputs()[0] == 6
    assert capsys.readouterr().out == "Processing: abc with threshold 2\n"
    assert found.process_data.resources == Resources(cpu="1", memory="2Gi")


def test_images(document) -> None:  # type: ignore[no-untyped-def] # a fixture
    assert repr(document("images").my_custom_image).startswith("Image.from_debian_base((3, 11), name='my-app'")


def test_resources(document) -> None:  # type: ignore[no-untyped-def] # a fixture
    found = document("resources")
    extended = found.partitioned_gpu_task.get_extended_resources(None)
    assert (extended.gpu_accelerator.device, extended.gpu_accelerator.partition_size) == ("A100", "1g.5gb")
    for task in (found.high_compute_task, found.gpu_task, found.partitioned_gpu_task):
        assert run(task).outputs()[0] is None


def test_secrets(document, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def] # a fixture
    monkeypatch.setenv("EXTERNAL_SERVICES_MY_API_KEY", "hunter2")
    run(document("secrets").use_api_key)
    assert capsys.readouterr().out == "API Key: hunter2\n"


def test_caching(document) -> None:  # type: ignore[no-untyped-def] # a fixture
    task = document("caching").expensive_computation
    assert [run(task, "data", when).action.cached for when in ("now", "later")] == [False, True]


def test_retries(document, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def] # a fixture
    found = document("retries")
    rolls = iter([0.1, 0.2, 0.9])
    monkeypatch.setattr("random.random", lambda: next(rolls))
    monkeypatch.setattr("tasksdk.running.local_body.LocalBody.wait", _no_wait)
    finished = run(found.flaky_task_simple)
    assert (finished.outputs()[0], finished.action.attempts) == ("Success", 3)
    assert found.flaky_task_with_backoff.retries.attempts == 4


async def _no_wait(_self: object, _seconds: float) -> None: ...


def test_timeouts(document) -> None:  # type: ignore[no-untyped-def] # a fixture
    timeout = document("timeouts").long_running_task.timeout
    assert isinstance(timeout, Timeout)
    assert (timeout.runtime_seconds, timeout.queued_seconds) == (300.0, 60.0)


def test_running(home: Path) -> None:
    script = DOCUMENTS / "running.py"
    ran = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TASKSDK_HOME": str(home)},
    )
    first, second, third = ran.stdout.splitlines()
    assert first.startswith("Local run output: Run(")
    assert second.startswith("Remote run URL: file:///")
    assert third == "Remote run output: Hello, Remote User!"


def test_aio(document) -> None:  # type: ignore[no-untyped-def] # a fixture
    found = document("aio")
    assert run(found.my_new_parent_task, 3).outputs()[0] == [0, 1, 2]

    async def inside() -> list[int]:
        return await asyncio.gather(*[found.my_legacy_task.aio(x) for x in range(3)])

    assert asyncio.run(inside()) == [0, 1, 2]


def test_the_command_of_a_container(tmp_path: Path) -> None:
    (tmp_path / "inputs.pb").write_bytes(write_map(to_literals({"a": 2, "b": "x"}, {"a": int, "b": str}, "t1")))
    command = (
        f"pyflyte-execute --inputs {tmp_path}/inputs.pb --output-prefix {tmp_path}/outputs/location"
        f" --raw-output-data-prefix {tmp_path}/data"
        " --resolver flytekit.core.python_auto_container.default_task_resolver -- task-module example task-name t1"
    )
    program = [str(Path(sys.executable).parent / "pyflyte-execute"), *command.split()[1:]]
    subprocess.run(program, cwd=DOCUMENTS, check=True)
    written = read_map((tmp_path / "outputs" / "location" / "outputs.pb").read_bytes())
    assert to_value(written["o0"], str, "o0") == "xx"
