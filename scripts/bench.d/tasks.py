"""What the task SDK costs: to import, to call, to start in an image, and to be in an image."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import images
from place import Place
from row import Row, medians, seconds

ROUNDS = 9
STARTS = 25
_TASKS = """
import time
from tasksdk import Cache, TaskEnvironment, run
env = TaskEnvironment("bench")
@env.task
def square(x: int) -> int:
    return x * x
@env.task
def many(n: int) -> float:
    began = time.perf_counter()
    for i in range(n):
        square(i)
    return (time.perf_counter() - began) / n
@env.task(cache=Cache())
def kept(x: int) -> int:
    return x * x
@env.task
def cached(n: int) -> float:
    began = time.perf_counter()
    for i in range(n):
        kept(i)
    return time.perf_counter() - began
"""
_CALLS = f"{_TASKS}\nprint(run(many, n=2000).outputs()[0])"
_CACHED = f"{_TASKS}\nrun(cached, n=1000)\nprint(run(cached, n=1000).outputs()[0])"
_THEIR_CALLS = """
import time, flyte
env = flyte.TaskEnvironment("bench")
@env.task
def square(x: int) -> int:
    return x * x
@env.task
def many(n: int) -> float:
    began = time.perf_counter()
    for i in range(n):
        square(i)
    return (time.perf_counter() - began) / n
flyte.init()
print(flyte.with_runcontext("local").run(many, n=300).outputs()[0])
"""
_MODULE = """
import os, time
from tasksdk import TaskEnvironment
env = TaskEnvironment("bench")
@env.task
def told(x: int) -> int:
    os.write(int(os.environ["TOLD"]), str(time.clock_gettime(time.CLOCK_MONOTONIC)).encode())
    return x
"""
# Runs in the image: processes that tell when they reached the user's code, by turns bare and by the executor.
_STARTS = """
import json, os, statistics, subprocess, sys, time
sys.path.insert(0, "/app/code")
from tasksdk.literals import to_literals
from tasksdk.wire import write_map
os.chdir("/tmp")
open("inputs.pb", "wb").write(write_map(to_literals({"x": 3}, {"x": int}, "told")))
def start(command):
    here, there = os.pipe()
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    environ = {**os.environ, "TOLD": str(there), "PYTHONPATH": "/app/code"}
    subprocess.run(command, env=environ, pass_fds=[there], check=True)
    os.close(there)
    with os.fdopen(here) as pipe:
        return float(pipe.read()) - began
bare = ["python", "-c", "import os, time; os.write(int(os.environ['TOLD']), "
        "str(time.clock_gettime(time.CLOCK_MONOTONIC)).encode())"]
ours = ["tasksdk-execute", "--inputs", "inputs.pb", "--output-prefix", "out", "--raw-output-data-prefix", "raw",
        "--resolver", "tasksdk.task.resolver.default_task_resolver", "--", "task-module", "told", "task-name", "told"]
taken = [(start(bare), start(ours)) for _ in range(int(sys.argv[1]) + 1)][1:]
print(json.dumps([statistics.median(times) for times in zip(*taken)]))
"""


class _InImage(NamedTuple):
    """Seconds to the user's code above bare Python, and compressed bytes of the SDK's layer."""

    start: float
    layer: int


def rows() -> list[Row]:
    """The task SDK's import, calls, kept results, start in an image, and layer; flyte beside what it does too."""
    peer = importlib.util.find_spec("flyte") is not None
    bare, imported, their_import = medians(
        ROUNDS,
        lambda: seconds([sys.executable, "-c", "pass"]),
        lambda: seconds([sys.executable, "-c", "import tasksdk"]),
        lambda: seconds([sys.executable, "-c", "import flyte"]) if peer else 0.0,
    )
    call, kept, their_call = medians(
        5, lambda: _said(_CALLS), lambda: _said(_CACHED), lambda: _said(_THEIR_CALLS) if peer else 0.0
    )
    image = _in_image()
    none = "flyte is not installed"
    return [
        Row(
            "import tasksdk, above bare Python",
            f"{(imported - bare) * 1e3:.0f} ms",
            f"flyte {(their_import - bare) * 1e3:.0f} ms" if peer else none,
            "<= 40 ms",
            imported - bare <= 0.040,
        ),
        Row(
            "overhead of a task called inside a local run",
            f"{call * 1e3:.3f} ms",
            f"flyte {their_call * 1e3:.2f} ms" if peer else none,
            "<= 0.1 ms",
            call <= 0.0001,
        ),
        Row("1,000 cached calls served from the local store", f"{kept:.2f} s", "", "<= 0.3 s", kept <= 0.3),
        Row(
            "process start to the user's function in the image, above bare Python",
            f"{image.start * 1e3:.0f} ms",
            "",
            "<= 60 ms",
            image.start <= 0.060,
        ),
        Row(
            "what the task SDK adds to an image, compressed",
            f"{image.layer / 1e6:.1f} MB",
            "",
            "<= 4 MB",
            image.layer <= 4e6,
        ),
    ]


def _said(script: str) -> float:
    """What a script prints, as seconds; with a record of its own."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "bench_tasks.py"
        file.write_text(script)
        environ = {**os.environ, "TASKSDK_HOME": f"{home}/record"}
        ran = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True, env=environ)
    return float(ran.stdout.split()[-1])


def _in_image() -> _InImage:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "place", bytecode=True)
        (place.folder / "code" / "told.py").write_text(_MODULE)
        (place.folder / "code" / "starts.py").write_text(_STARTS)
        place.spec("tasks", "", sdk=True)
        built = place.ours("cache").image
    image = f"{built['uri']}@{built['digest']}"
    ran = images.run(image, "python", "/app/code/starts.py", str(STARTS))
    bare, ours = json.loads(ran.splitlines()[-1])
    return _InImage(ours - bare, _layer(str(built["uri"]), str(built["digest"])))


def _layer(uri: str, digest: str) -> int:
    """Compressed bytes of the layer that is the SDK, as the registry has it."""
    registry, _, rest = uri.partition("/")
    top = f"http://{registry}/v2/{rest.rpartition(':')[0]}"

    def get(path: str) -> dict[str, Any]:
        asked = urllib.request.Request(
            f"{top}/{path}", headers={"Accept": "application/vnd.oci.image.manifest.v1+json"}
        )
        with urllib.request.urlopen(asked) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    manifest = get(f"manifests/{digest}")
    config = get(f"blobs/{manifest['config']['digest']}")
    filled = [step for step in config["history"] if not step.get("empty_layer")]
    sizes = zip(filled, manifest["layers"], strict=True)
    return next(int(layer["size"]) for step, layer in sizes if "task SDK" in step["created_by"])
