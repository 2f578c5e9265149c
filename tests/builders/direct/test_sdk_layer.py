"""The layer of the task SDK: the same bytes on every machine, made beside the work on packages."""

from __future__ import annotations

import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct.python import Environments
from imagebuilder.builders.direct.remembered import Remembered
from imagebuilder.errors import BuildError
from imagebuilder.layers import fast_zlib
from imagebuilder.layers.writer import SQUEEZED
from imagebuilder.sources.material import LaterMaterial, Text

from . import bases
from .bases import DEBIAN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PLACE = "lib/python3.11/site-packages/_tasksdk"
MODULE = b"def told(x: int) -> int:\n    return x\n\n\n" * 20_000


def pieces() -> Iterable[tuple[str, Text]]:
    yield f"{PLACE}/tasksdk.py", Text(MODULE)
    yield "bin/tasksdk-execute", Text(b"#!/opt/venv/bin/python\n", executable=True)


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let images have an SDK of these pieces."""

    def give(make: Callable[[], Iterable[tuple[str, Text]]] = pieces) -> None:
        monkeypatch.setattr(bases, "no_sdk", lambda _wanted: LaterMaterial("key", make))

    return give


def image_of(bench: Any, wheel: Any) -> Image:
    return Image.from_base(bench.base(DEBIAN, Env=["PATH=/usr/bin"])).with_sdk(python_version="3.11").with_wheels(wheel)


def sdk_layer(made: Any) -> dict[str, Any]:
    history = [entry["created_by"] for entry in made.config["history"] if not entry.get("empty_layer")]
    return next(layer for layer, what in zip(made.manifest["layers"], history, strict=True) if "task SDK" in what)


def test_its_bytes_depend_on_no_zlib(
    bench: Any, make_wheel: Any, give: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    give()
    first = bench.build(image_of(bench, make_wheel("demo")))
    assert first.content[f"opt/venv/{PLACE}/tasksdk.py"] == MODULE
    assert first.tree["opt/venv/bin/tasksdk-execute"].mode & 0o777 == 0o755
    assert sdk_layer(first)["size"] < len(MODULE) / 20

    def cannot_compress(*_: Any, **__: Any) -> None:
        raise AssertionError("what zlib writes depends on who built it")

    image = image_of(bench, make_wheel("demo"))
    monkeypatch.setattr(zlib, "compressobj", cannot_compress)
    monkeypatch.setattr(fast_zlib, "deflated", cannot_compress)
    monkeypatch.setattr(bench, "site", replace(bench.site, bytecode=False))
    elsewhere = replace(bench, folder=bench.folder / "elsewhere")
    assert sdk_layer(elsewhere.build(image)) == sdk_layer(first)


def test_it_is_made_while_packages_are(
    bench: Any, make_wheel: Any, give: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    give()
    known: list[bool] = []
    real = Environments.install

    def install(environments: Environments, *args: Any, **options: Any) -> Any:
        remembered = Remembered(bench.folder / "cache")
        deadline = time.monotonic() + 60
        while not remembered.knows("key", SQUEEZED) and time.monotonic() < deadline:
            time.sleep(0.01)
        known.append(remembered.knows("key", SQUEEZED))
        return real(environments, *args, **options)

    monkeypatch.setattr(Environments, "install", install)
    assert sdk_layer(bench.build(image_of(bench, make_wheel("demo"))))
    assert known == [True]


def test_what_is_wrong_with_it_is_told(bench: Any, make_wheel: Any, give: Callable[..., None]) -> None:
    asked = []

    def fails() -> Iterable[tuple[str, Text]]:
        asked.append(1)
        raise BuildError("the task SDK could not be fetched")

    give(fails)
    with pytest.raises(BuildError, match="the task SDK could not be fetched"):
        bench.build(image_of(bench, make_wheel("demo")))
    assert asked
    give()
    assert sdk_layer(bench.build(image_of(bench, make_wheel("demo"))))
