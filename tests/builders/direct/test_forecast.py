"""What `imagebuild plan` tells, held against what a build then does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagebuilder import Image
from imagebuilder.cache.kinds import IMAGES
from imagebuilder.forecast import Amount, ImageForecast, forecast

from .bases import DEBIAN

if TYPE_CHECKING:
    from pathlib import Path

ENV = ["PATH=/usr/bin"]


def foretell(bench: Any, image: Image, builder: Any = None) -> ImageForecast:
    image = image.clone(name=image.name or "app", registry=bench.registry.host)
    engine = bench.engine(builder or bench.auto())
    puts = len(bench.registry.requests("PUT")) + len(bench.registry.requests("POST"))
    (found,) = forecast(engine, bench.client, engine.resolver.identify([("app", image)]))
    assert len(bench.registry.requests("PUT")) + len(bench.registry.requests("POST")) == puts
    return found


def test_wheels_files_and_a_base(bench: Any, code: Path, make_wheel: Any) -> None:
    wheel = make_wheel("demo")
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(wheel, extra_args="--no-index")
    image = image.with_source_folder(code, "/code")
    before = foretell(bench, image)
    assert [way.runs for way in before.ways] == [False] * 3
    assert not before.is_there
    (one,) = before.platforms
    assert (one.wheels, one.fetched, one.built, one.unknown) == (1, [wheel.name], [], None)
    assert one.base_mounted > 0
    assert one.uploaded == Amount(24 + wheel.stat().st_size)
    assert one.fetch == Amount(wheel.stat().st_size)
    assert not list(IMAGES.at(bench.folder / "cache").glob("blobs/sha256/*"))
    bench.build(image, bench.auto())
    assert foretell(bench, image).is_there
    # Another image with the same packages: what was made is known, and at the target.
    (one,) = foretell(bench, image.with_env_vars({"A": "1"})).platforms
    assert (one.fetched, one.base_there > 0, one.base_mounted) == ([], True, 0)
    assert one.uploaded == Amount(24)


def test_what_runs_and_where_it_stands(bench: Any, code: Path) -> None:
    image = Image.from_base(bench.base(DEBIAN)).with_commands(["make"]).with_source_folder(code, "/code")
    found = foretell(bench, image)
    assert [way.runs for way in found.ways] == [True, True, False]
    assert found.ways[1].reason == "it runs make"
    assert (found.below, found.below_last) == ("runs", 1)
    bench.build(image, bench.auto())
    more = image.with_env_vars({"A": "1"})
    assert str(foretell(bench, more).below).startswith(f"{bench.registry.host}/app:")
    assert [request.plan.titles[-1] for request in bench.buildkit.requests] == ["commands make"]


def test_what_turns_out_to_run(bench: Any, code: Path) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_pip_packages("b", extra_args="--no-build-isolation")
    found = foretell(bench, image.with_source_folder(code, "/code"))
    assert [way.runs for way in found.ways] == [True, True, False]
    assert found.ways[1].reason == "extra_args has --no-build-isolation, which only uv in the image understands"


def test_a_base_that_is_not_there(bench: Any, code: Path) -> None:
    found = foretell(bench, Image.from_base(f"{bench.registry.host}/absent:1").with_source_folder(code, "/code"))
    assert "absent:1 does not exist" in str(found.platforms[0].unknown)


def test_the_other_builder(bench: Any) -> None:
    image = Image.from_base(bench.base(DEBIAN)).with_env_vars({"A": "1"})
    found = foretell(bench, image, bench.buildkit)
    assert {way.reason for way in found.ways} == {"builder = buildkit"}
    assert found.platforms == []
