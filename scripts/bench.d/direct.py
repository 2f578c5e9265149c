"""What changes little: one package more, an upgrade, a code change, no change; beside `docker buildx build --push`.

Both sides are warm: each has its caches and has built the image before. Neither side compiles bytecode. What an upgrade
uploads is compared with what the registry lists as new layers, by name.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cold import STACK
from place import Place, Taken, beside, pip
from row import Row, medians

from imagebuilder.registry import Client
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
_CACHE = "cache"
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


def rows() -> list[Row]:
    """One package more, an upgrade, a code change and no change."""
    with tempfile.TemporaryDirectory(prefix="imagebuilder-bench-") as folder:
        place = Place(Path(folder) / "place", bytecode=False)
        place.spec("one", pip(*STACK))
        place.ours(_CACHE)
        place.theirs(place.render(), "peer")
        return [_one_more(place), *_upgrades(place), *_changes(place)]


def _one_more(place: Place) -> Row:
    ours, theirs = [], []
    for number, package in enumerate(("requests", "attrs", "click")):
        place.spec("one", pip(*STACK, package))
        ours.append(place.ours(_CACHE).seconds)
        theirs.append(place.theirs(place.render(), f"more-peer-{number}"))
    return beside("one package added", statistics.median(ours), statistics.median(theirs), 10)


def _upgrades(place: Place) -> list[Row]:
    """A big package, which has a layer for itself, and a small one, which shares its layer with some others."""
    found = []
    for name, old, new in (("pandas", "pandas<3", "pandas<3.1"), ("click", "click<8.2", "click<8.3")):
        others = [package for package in STACK if package != name]
        place.spec("one", pip(*others, "numpy<2.4", old))
        before = place.ours(_CACHE)
        place.spec("one", pip(*others, "numpy<2.4", new))
        found.append(_uploaded(name, before, place.ours(_CACHE)))
    return found


def _uploaded(name: str, before: Taken, after: Taken) -> Row:
    with Client() as client:
        old, new = (client.manifest(Reference.parse(taken.uri)) for taken in (before, after))
        assert new.config is not None
        config = json.loads(client.blob(Reference.parse(after.uri), new.config))
    history = [entry["created_by"] for entry in config["history"] if not entry.get("empty_layer")]
    known = {layer.digest for layer in old.layers}
    fresh = [(layer, what) for layer, what in zip(new.layers, history, strict=True) if layer.digest not in known]
    expected = sum(layer.size for layer, _ in fresh) + new.config.size + len(new.raw)
    alone = all(f"{name} " in what for _, what in fresh)
    held = "; ".join(what if len(what) < 60 else f"{name} and {what.count(',')} others" for _, what in fresh)
    return Row(
        f"uploaded after an upgrade of {name}",
        f"{after.uploaded / 1e6:.2f} MB",
        f"new layers: {held}; config, manifest {(new.config.size + len(new.raw)) / 1e3:.0f} kB",
        "only these",
        alone and after.uploaded <= expected,
    )


def _changes(place: Place) -> list[Row]:
    place.spec("one", pip(*STACK))
    rendered = place.render()
    source = next(path for path in rendered.iterdir() if (path / "module_0.py").exists())

    def changed(folder: Path, work: Callable[[], float]) -> Callable[[], float]:
        def way() -> float:
            place.edit(folder)
            return work()

        return way

    def build() -> float:
        return place.ours(_CACHE).seconds

    def peer() -> float:
        return place.theirs(rendered, "peer")

    ours, theirs = medians(ROUNDS, changed(place.folder / "code", build), changed(source, peer))
    still, their_still = medians(ROUNDS, build, peer)
    return [
        beside("a code change, whole process", ours, theirs, 1),
        beside("a code change, in-process", _inside(place), theirs, 3),
        beside("nothing changed, whole process", still, their_still, 1),
    ]


def _inside(place: Place) -> float:
    env = {**place.environ, "IMAGEBUILDER_CACHE_DIR": str(place.folder / _CACHE)}
    command = [sys.executable, "-c", _INSIDE.format(rounds=ROUNDS)]
    done = subprocess.run(command, cwd=place.folder, env=env, check=True, capture_output=True, text=True)
    return float(statistics.median(json.loads(done.stdout)))
