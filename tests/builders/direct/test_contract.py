"""What every builder does (tests/builders/test_builder_contract.py), on those that assemble, without a container."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.events import Step
from imagebuilder.builders.port import BuildRequest
from imagebuilder.registry import Manifest
from imagebuilder.spec.platform import Platform

from .bases import AMD64, DEBIAN

ARM64 = Platform("linux", "arm64")


@pytest.fixture(params=["direct", "auto", "auto after BuildKit"])
def builder(request: Any, bench: Any) -> Any:
    bench.commands = request.param == "auto after BuildKit"
    return bench.direct() if request.param == "direct" else bench.auto()


def make(bench: Any, *platforms: Platform) -> BuildRequest:
    names = [bench.base(DEBIAN, name=item.architecture, platform=item.architecture) for item in platforms]
    image = Image.from_base(bench.index(*names), name="app", platform=[str(item) for item in platforms])
    if bench.commands:
        image = image.with_commands(["make"])
    image = image.with_env_vars({"A": "1"}).with_workdir("/made")
    engine = bench.engine()
    item = engine.resolver.identify([("app", image)])[0]
    plan = engine.plan(item)
    return BuildRequest("app", plan, item.image.platforms, prefix=engine.prefix(item, plan, object()))


def test_one_platform_is_one_manifest(bench: Any, builder: Any) -> None:
    request, events = make(bench, AMD64), []
    built = builder.build(request, events.append, threading.Event())
    manifest = read(built, built.root)
    assert not manifest.is_index
    assert built.root.platform is None
    assert {event.image for event in events} == {"app"}
    assert {event.layer for event in events if isinstance(event, Step) and event.state == "done"} >= {0}
    for blob in manifest.blobs:
        with built.store.open(blob.digest) as stream:
            assert len(stream.read()) == blob.size == built.store.size(blob.digest)


def test_several_platforms_are_an_index(bench: Any, builder: Any) -> None:
    built = builder.build(make(bench, AMD64, ARM64), lambda _: None, threading.Event())
    index = read(built, built.root)
    assert index.platforms == (AMD64, ARM64)
    assert all(read(built, child).config for child in index.children)


def test_the_same_request_gives_the_same_image(bench: Any, builder: Any) -> None:
    request = make(bench, AMD64)
    roots = {builder.build(request, lambda _: None, threading.Event()).root.digest for _ in range(2)}
    assert len(roots) == 1


def test_a_cancel_is_an_interrupt(bench: Any, builder: Any) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(KeyboardInterrupt):
        builder.build(make(bench, AMD64), lambda _: None, cancel)


def test_a_listener_that_fails_ends_the_build(bench: Any, builder: Any) -> None:
    def emit(event: Any) -> None:
        raise RuntimeError("the listener failed")

    with pytest.raises(RuntimeError, match="the listener failed"):
        builder.build(make(bench, AMD64), emit, threading.Event())


def read(built: Any, descriptor: Any) -> Manifest:
    with built.store.open(descriptor.digest) as stream:
        return Manifest.of(stream.read(), descriptor.media_type)
