"""What every builder does, the double and the real one."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from imagebuilder import Image
from imagebuilder.builders.buildkit import BuildKitBuilder
from imagebuilder.builders.events import Step
from imagebuilder.builders.fixed import FixedBuilder
from imagebuilder.builders.port import BuildRequest
from imagebuilder.builders.site import Site
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.identity.resolver import Resolver
from imagebuilder.plan.lower import lower
from imagebuilder.registry import Manifest
from imagebuilder.registry.descriptor import Descriptor, sha256
from imagebuilder.sources import Sources
from imagebuilder.spec.platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.fixture(params=["fixed", pytest.param("buildkit", marks=pytest.mark.e2e)])
def builder(request, tmp_path):
    if request.param == "fixed":
        return FixedBuilder(gate={"slow": threading.Event()})
    if not os.environ.get("IMAGEBUILDER_TEST_REGISTRY"):
        pytest.fail('the engine is not up: run `scripts/engine up`, then eval "$(scripts/engine env)"')
    return BuildKitBuilder(tmp_path / "cache", os.environ)


def make(name="app", platforms=(AMD64,), command=None):
    image = Image.from_base("debian:bookworm-slim", name=name, platform=[str(item) for item in platforms])
    image = image.with_env_vars({"A": "1"})
    image = image.with_commands([command]) if command else image
    item = Resolver(recipe(DEFAULT_EPOCH), Sources).identify([(name, image)])[0]
    plan = lower(item.image, item.identity, item.materials, recipe(DEFAULT_EPOCH))
    return BuildRequest(name, plan, item.image.platforms, site=Site(network=os.environ.get("IMAGEBUILDER_NETWORK")))


def read(built, descriptor):
    with built.store.open(descriptor.digest) as stream:
        content = stream.read()
    assert (len(content), sha256(content)) == (descriptor.size, descriptor.digest)
    assert built.store.size(descriptor.digest) == descriptor.size
    return content


def check_image(built, descriptor, request):
    manifest = Manifest.of(read(built, descriptor), descriptor.media_type)
    config = json.loads(read(built, manifest.config))
    labels = config["config"]["Labels"]
    assert dict(request.plan.labels).items() <= labels.items()
    assert len(manifest.layers) == len(config["rootfs"]["diff_ids"])
    for layer in manifest.layers:
        read(built, layer)
    return Platform.of(config["os"], config["architecture"], config.get("variant") or "")


def test_one_platform_is_one_manifest(builder):
    events = []
    request = make()
    built = builder.build(request, events.append, threading.Event())
    assert check_image(built, built.root, request) == AMD64
    assert {event.image for event in events} == {"app"}
    assert {event.layer for event in events if isinstance(event, Step) and event.state in ("done", "cached")} >= {0}


def test_several_platforms_are_an_index(builder):
    request = make(platforms=(AMD64, ARM64))
    built = builder.build(request, lambda _: None, threading.Event())
    index = Manifest.of(read(built, built.root), built.root.media_type)
    assert index.is_index
    assert index.platforms == (AMD64, ARM64)
    for child in index.children:
        assert check_image(built, Descriptor.parse(child.to_json()), request) == child.platform


def test_the_same_request_gives_the_same_image(builder):
    roots = {builder.build(make(), lambda _: None, threading.Event()).root.digest for _ in range(2)}
    assert len(roots) == 1


def test_a_cancel_is_an_interrupt(builder):
    cancel = threading.Event()
    began = time.monotonic()
    threading.Timer(1, cancel.set).start()
    with pytest.raises(KeyboardInterrupt):
        builder.build(make("slow", command="sleep 600"), lambda _: None, cancel)
    assert time.monotonic() - began < 300  # the step is not waited for


def test_a_listener_that_fails_ends_the_build(builder):
    def emit(event):
        raise RuntimeError("the listener failed")

    with pytest.raises(RuntimeError, match="the listener failed"):
        builder.build(make(command="sleep 600"), emit, threading.Event())
