"""How long images of packages and sources take, assembled, beside `docker buildx build --push` of what we render.

Cold is: our cache folder is empty and the repository is new, for the peer `--no-cache` and a new repository. Both have
a warm uv cache, which helps the peer more: it has the wheels, we have only what resolving needs and fetch them. Both
compile bytecode.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from build import IMAGEBUILD, _plain
from row import Row, medians, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, COLD = 5, 2
_REGISTRY = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")
_SPEC = """
from imagebuilder import Image
image = (
    Image.from_debian_base("3.11", name="{name}", registry={registry!r})
    .with_pip_packages({packages})
    .with_source_folder("code", "/app/code")
)
"""
_STACK = ("numpy", "pandas", "scikit-learn")
_INSIDE = """
import json, os, sys, time
from pathlib import Path
from imagebuilder.config import load
from imagebuilder.engine import Options
from imagebuilder.outputs.output import Push
sys.path.insert(0, ".")
from spec import image
config, taken = load(Path("."), os.environ), []
with config.make_client() as client:
    engine = config.make_engine(client)
    for number in range({rounds} + 1):
        Path("code/module_0.py").write_text(f"inside = {{number}}, {{time.time_ns()}}\\n")
        began = time.perf_counter()
        result = engine.ensure([("image", image)], Push(client))[0]
        taken.append(time.perf_counter() - began)
        assert result.built
print(json.dumps(taken[1:]))
"""


class _Place:
    """A folder with a spec, and the same spec rendered for the peer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = uuid.uuid4().hex[:8]
        self.count = 0
        (folder / "code").mkdir()
        for number in range(50):
            (folder / "code" / f"module_{number}.py").write_text(f"value = {number}\n" * 50)

    def spec(self, name: str, *packages: str) -> None:
        listed = ", ".join(map(repr, packages))
        text = _SPEC.format(name=f"bench-{self.run}/{name}", registry=_REGISTRY, packages=listed)
        (self.folder / "spec.py").write_text(text)

    def ours(self, cache: str) -> tuple[float, int]:
        """Seconds of the whole process, and bytes uploaded."""
        env = {**os.environ, "IMAGEBUILDER_CACHE_DIR": str(self.folder / cache), "IMAGEBUILDER_BUILDER": "direct"}
        report = self.folder / "report"
        taken = seconds(["sh", "-c", f'"{IMAGEBUILD}" build spec.py --json > "{report}"'], cwd=self.folder, env=env)
        found = re.findall(r'"bytes_uploaded":\s*(\d+)', report.read_text())
        return taken, int(found[-1])

    def render(self) -> Path:
        rendered = self.folder / f"rendered-{self.number()}"
        seconds([IMAGEBUILD, "render", "spec.py", "--output", str(rendered)], cwd=self.folder)
        return rendered

    def theirs(self, rendered: Path, name: str, *options: str) -> float:
        command = _plain(rendered, f"{_REGISTRY}/bench-{self.run}/{name}:latest")
        return seconds([*command[:-1], *options, command[-1]], cwd=self.folder)

    def number(self) -> int:
        self.count += 1
        return self.count

    def edit(self, folder: Path) -> None:
        (folder / "module_0.py").write_text(f"value = {self.number()}\n")


def rows() -> list[Row]:
    """Cold, one package more, a code change and no change."""
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        place = _Place(Path(folder))
        return [_cold(place), *_one_more(place), *_changes(place)]


def _row(name: str, ours: float, theirs: float, least: float) -> Row:
    ratio = theirs / ours
    return Row(name, f"{ours:.2f} s", f"docker {theirs:.2f} s, {ratio:.1f} x", f">= {least:g} x", ratio >= least)


def _cold(place: _Place) -> Row:
    place.spec("peer", *_STACK)
    rendered = place.render()
    place.theirs(rendered, "warm", "--no-cache")  # fills the cache mount of uv, and brings the base
    ours, theirs = [], []
    for number in range(COLD):
        place.spec(f"cold-{number}", *_STACK)
        ours.append(place.ours(f"cache-{number}")[0])
        theirs.append(place.theirs(rendered, f"cold-peer-{number}", "--no-cache"))
    name = "numpy + pandas + scikit-learn + source, cold, unlocked"
    return _row(name, statistics.median(ours), statistics.median(theirs), 4)


def _one_more(place: _Place) -> list[Row]:
    ours, theirs, uploaded = [], [], []
    for number, package in enumerate(("requests", "attrs")):
        place.spec("cold-0", *_STACK, package)
        taken, size = place.ours("cache-0")
        ours.append(taken)
        uploaded.append(size)
        theirs.append(place.theirs(place.render(), f"more-peer-{number}"))
    most = max(uploaded)
    return [
        _row("one package added", statistics.median(ours), statistics.median(theirs), 10),
        Row("bytes uploaded after it", f"{most / 1e6:.2f} MB", "its bucket, config, manifest", "<= 8 MB", most <= 8e6),
    ]


def _changes(place: _Place) -> list[Row]:
    place.spec("cold-0", *_STACK)
    rendered = place.render()
    source = next(path for path in rendered.iterdir() if (path / "module_0.py").exists())

    def changed(edit: Callable[[], None], work: Callable[[], float]) -> Callable[[], float]:
        def way() -> float:
            edit()
            return work()

        return way

    def build() -> float:
        return place.ours("cache-0")[0]

    def peer() -> float:
        return place.theirs(rendered, "peer")

    ours, theirs = medians(
        ROUNDS,
        changed(lambda: place.edit(place.folder / "code"), build),
        changed(lambda: place.edit(source), peer),
    )
    still, their_still = medians(ROUNDS, build, peer)
    inside = _inside(place)
    return [
        _row("a code change, whole process", ours, theirs, 1),
        _row("a code change, in-process", inside, theirs, 3),
        _row("nothing changed, whole process", still, their_still, 1),
    ]


def _inside(place: _Place) -> float:
    env = {**os.environ, "IMAGEBUILDER_CACHE_DIR": str(place.folder / "cache-0"), "IMAGEBUILDER_BUILDER": "direct"}
    command = [sys.executable, "-c", _INSIDE.format(rounds=ROUNDS)]
    done = subprocess.run(command, cwd=place.folder, env=env, check=True, capture_output=True, text=True)
    return statistics.median(json.loads(done.stdout))
