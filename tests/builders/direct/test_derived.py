"""What a pushed image and one that is derived anew differ in, and that a derivation leaves the registry alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct.base import RemoteStore
from imagebuilder.registry import push
from imagebuilder.spec.reference import Reference
from imagebuilder.verify.compare import Side, compare
from imagebuilder.verify.derive import derive

from .bases import DEBIAN, Bench

if TYPE_CHECKING:
    from pathlib import Path

ENV = ["PATH=/usr/bin:/bin"]


@pytest.fixture
def image(bench: Bench, code: Path) -> Image:
    base = bench.base(DEBIAN, Env=ENV)
    return Image.from_base(base, name="app", registry=bench.registry.host).with_source_folder(code, "/app/code")


def at(bench: Bench, digest: str) -> Side:
    reference = Reference.parse(f"{bench.registry.host}/app@{digest}")
    manifest = bench.client.manifest(reference)
    return Side(manifest, RemoteStore(bench.client, reference, manifest.blobs))


def differences(bench: Bench, one: Image, other: Image) -> list[str]:
    return compare(at(bench, bench.build(one).digest), at(bench, bench.build(other).digest))


def test_the_same_image(bench: Bench, image: Image, tmp_path: Path) -> None:
    pushed = bench.build(image)
    before = dict(bench.registry.contents.repository("app").tags)
    fresh = replace(bench, folder=tmp_path / "elsewhere")
    uri = f"{bench.registry.host}/app:{next(iter(before))}"
    found = derive(fresh.engine(), bench.client, ("app", image), Reference.parse(uri), emit=lambda _: None)
    assert (found.same, found.digest, found.differences) == (True, pushed.digest, [])
    assert dict(bench.registry.contents.repository("app").tags) == before


def test_another_image_under_its_tag(bench: Bench, image: Image, code: Path) -> None:
    (code / "main.py").write_text("print('other')\n")
    other = bench.build(image.clone(name="other")).manifest
    (tag,) = bench.registry.contents.repository("other").tags
    (code / "main.py").write_text("print('main')\n")
    bench.build(image)
    (mine,) = bench.registry.contents.repository("app").tags
    theirs = Reference.parse(f"{bench.registry.host}/other:{tag}")
    manifest = bench.client.manifest(theirs)
    reference = Reference.parse(f"{bench.registry.host}/app:{mine}")
    push(bench.client, _Whole(bench, theirs, manifest), manifest.descriptor, reference)
    found = derive(bench.engine(), bench.client, ("app", image), reference, emit=lambda _: None)
    assert not found.same
    assert found.differences[0] == f"image layer {len(other['layers'])}, copy to /app/code: /app/code/main.py differs"
    assert found.differences[1].startswith("config: Labels differs in io.imagebuilder.files")


class _Whole(RemoteStore):
    """An image at a registry with its manifest, to be pushed elsewhere."""

    def __init__(self, bench: Bench, reference: Reference, manifest: Any) -> None:
        super().__init__(bench.client, reference, manifest.blobs)
        self._manifest = manifest

    def open(self, digest: str) -> Any:
        import io

        return io.BytesIO(self._manifest.raw) if digest == self._manifest.digest else super().open(digest)

    def size(self, digest: str) -> int:
        return len(self._manifest.raw) if digest == self._manifest.digest else super().size(digest)


def test_what_differs_is_told(bench: Bench, image: Image, code: Path) -> None:
    more = differences(bench, image, image.with_user("somebody"))
    assert "the derived image alone has it" in more[0]
    assert any(line == "config: User differs" for line in more)
    first = at(bench, bench.build(image).digest)
    (code / "main.py").chmod(0o755)
    (code / "new.py").write_text("")
    (code / "deep" / "run.sh").unlink()
    (line, labels) = compare(first, at(bench, bench.build(image).digest))
    assert line.endswith(
        "/app/code/deep/run.sh is in the pushed image alone, /app/code/main.py has another mode, owner or time, "
        "/app/code/new.py is in the derived image alone"
    )
    assert labels.startswith("config: Labels differs in io.imagebuilder.files, io.imagebuilder.identifier")


def test_several_platforms(bench: Bench, code: Path) -> None:
    bases = [bench.base(DEBIAN, name=name, platform=name, Env=ENV) for name in ("amd64", "arm64")]
    image = Image.from_base(
        bench.index(*bases), name="app", registry=bench.registry.host, platform=["linux/amd64", "linux/arm64"]
    ).with_source_folder(code, "/app")
    bench.build(image)
    (tag,) = bench.registry.contents.repository("app").tags
    reference = Reference.parse(f"{bench.registry.host}/app:{tag}")
    assert derive(bench.engine(), bench.client, ("app", image), reference, emit=lambda _: None).same
    single = image.clone(platform="linux/amd64")
    one = derive(bench.engine(), bench.client, ("app", single), reference, emit=lambda _: None)
    assert one.differences == ["one of them is an index of several platforms, the other is not"]
    (code / "main.py").write_text("other\n")
    found = derive(bench.engine(), bench.client, ("app", image), reference, emit=lambda _: None).differences
    assert [line for line in found if "/app/main.py differs" in line] == found[::2]
    assert [line.partition(":")[0] for line in found[::2]] == ["linux/amd64", "linux/arm64"]
