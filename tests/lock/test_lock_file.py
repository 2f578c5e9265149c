from __future__ import annotations

import os
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.errors import SourceError, WorkError
from imagebuilder.lock.changes import changes
from imagebuilder.lock.lock_file import LockFile, parse, render
from imagebuilder.lock.pins import ImageLock, Input, PinnedPackage, PlatformPins
from imagebuilder.spec.platform import Platform

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")

text = st.text(min_size=1, max_size=20)
digest = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format)
version = st.text(f"{string.digits}.", min_size=1, max_size=6)
wheel = st.fixed_dictionaries(
    {
        "name": text,
        "url": text.map("https://h/{}".format),
        "size": st.integers(0, 2**40),
        "hashes": st.fixed_dictionaries({"sha256": text}),
    }
)
package = st.builds(
    PinnedPackage,
    st.integers(1, 9),
    st.fixed_dictionaries({"name": text, "version": version, "wheels": st.lists(wheel, min_size=1, max_size=2)}),
)
platform = st.builds(
    PlatformPins,
    text,
    digest,
    st.sampled_from(["", "x86_64"]),
    st.sampled_from(["", "3.11.7"]),
    st.sampled_from(["", "why\nnot"]),
    st.lists(package, max_size=3).map(tuple),
    st.sampled_from(["", "2026-11-21T07:00:00Z"]),
)
image = st.builds(
    ImageLock,
    text,
    text,
    text,
    digest,
    st.lists(st.builds(Input, text, text, st.lists(text, max_size=2).map(tuple)), min_size=1, max_size=3).map(tuple),
    st.lists(platform, min_size=1, max_size=2).map(tuple),
    st.sampled_from(["", "team/app"]),
    st.integers(0, 9),
)


def entry(name: str = "app", packages: dict[str, str] | None = None, base: str = ONE, bytecode: str = "") -> ImageLock:
    found = {"numpy": "1.0"} if packages is None else packages
    pinned = tuple(
        PinnedPackage(1, {"name": one, "version": number, "wheels": [_wheel(one)]}) for one, number in found.items()
    )
    platforms = (PlatformPins("linux/amd64", base, "x86_64", bytecode, packages=pinned),)
    return ImageLock("spec.py", name, "docker.io/library/python:3", base, (Input("base", "b"),), platforms)


def _wheel(name: str) -> dict[str, object]:
    return {"name": f"{name}.whl", "url": f"https://one/{name}.whl", "hashes": {"sha256": "ab"}}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(image, max_size=3).map(tuple))
def test_what_is_written_is_read_back(images: tuple[ImageLock, ...]) -> None:
    written = render(images)
    assert parse(written, "a lock") == images
    assert render(parse(written, "a lock")) == written


def test_the_order_is_that_of_specs_and_names(tmp_path: Path) -> None:
    file = LockFile(tmp_path / "lock").with_images([entry("z"), replace(entry("y"), spec="a.py")])
    again = file.with_images([entry("b"), entry("z")])
    assert [one.name for one in again.images] == ["y", "b", "z"]


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "imagebuilder.lock"
    assert LockFile.read(path) == LockFile(path)
    assert not LockFile.read(path).exists
    file = LockFile(path, (entry(),))
    before = os.umask(0o077)
    try:
        file.write()
    finally:
        os.umask(before)
    assert LockFile.read(path) == file
    assert path.stat().st_mode & 0o777 == 0o644
    monkeypatch.setattr(Path, "replace", _full_disk)
    with pytest.raises(WorkError, match="cannot be written: No space left"):
        LockFile(path, (entry("other"),)).write()
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert LockFile.read(path) == file


def _full_disk(_self: Path, _target: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("version = 1", "version = 2"), "has version = 2, and only 1 is understood"),
        (("version = 1\n", ""), "has version = None"),
        (("[[image]]", "[[image"), "a lock"),
        ((ONE, "sha256:1"), "has digest = 'sha256:1', which is no digest"),
        (("step = 1", "step = 0"), "step = 0, which is no number of a layer"),
        (("step = 1", 'step = "1"'), "step = '1', which is no number of a layer"),
        (("form = 3", "form = true"), "has form = True, which is no number"),
        (("machine =", 'build-tools-until = "--x"\nmachine ='), "build-tools-until = '--x', which is no time"),
        (('spec = "spec.py"', "spec = 3"), "has spec = 3, which is not a string"),
        (("[[image.platform]]", "[[image.plat]]"), "image 'app'.* no list of tables named platform|platform"),
        (("<<<", "<<<"), ""),
    ],
)
def test_what_is_no_lock(change: tuple[str, str], message: str) -> None:
    written = render((entry(),)).replace(*change)
    if not message:
        assert parse(written, "a lock") == (entry(),)
        return
    with pytest.raises(SourceError, match=message) as caught:
        parse(written, "a lock")
    assert "imagebuild lock" in str(caught.value.hint)


def test_a_merge_conflict_is_told(tmp_path: Path) -> None:
    path = tmp_path / "imagebuilder.lock"
    path.write_text(f"<<<<<<< HEAD\n{render((entry(),))}=======\n>>>>>>> other\n")
    with pytest.raises(SourceError, match=r"imagebuilder\.lock"):
        LockFile.read(path)


def test_the_digest_is_of_what_is_pinned_and_of_nothing_else() -> None:
    pins = entry().pins([AMD64])
    elsewhere = render((entry(),)).replace("https://one/", "https://mirror/")
    assert parse(elsewhere, "a lock")[0].pins([AMD64]).digest == pins.digest
    others = [
        entry(packages={"numpy": "1.1"}),
        entry(packages={}),
        entry(base=TWO),
        entry(bytecode="3.11.7"),
        parse(render((entry(),)).replace('sha256 = "ab"', 'sha256 = "cd"'), "a lock")[0],
        parse(render((entry(),)).replace("step = 1", "step = 2"), "a lock")[0],
    ]
    assert len({pins.digest, *(one.pins([AMD64]).digest for one in others)}) == len(others) + 1


def test_only_the_platforms_that_are_asked_for_count() -> None:
    one = entry()
    both = ImageLock(
        one.spec, one.name, one.base, one.digest, one.inputs, (*one.platforms, PlatformPins("linux/arm64", TWO))
    )
    assert both.pins([AMD64]).digest == one.pins([AMD64]).digest != both.pins([AMD64, ARM64]).digest
    assert both.pins([AMD64, ARM64]).digest == both.pins([ARM64, AMD64]).digest
    assert one.lacks([ARM64, AMD64]) == ["linux/arm64"]


def test_a_part_of_an_image_has_the_packages_of_its_own_layers() -> None:
    packages = tuple(PinnedPackage(step, {"name": f"p{step}"}) for step in (1, 2))
    platforms = (PlatformPins("linux/amd64", ONE, "x86_64", "3.11.7", packages=packages),)
    pins = ImageLock("s", "n", "b", ONE, (Input("base", "b"),), platforms).pins([AMD64])
    assert [one.table["name"] for one in pins.first(1).of(AMD64).packages] == ["p1"]
    assert (pins.first(0).of(AMD64).bytecode, pins.first(0).of(AMD64).packages) == ("", ())


def test_changes_are_told() -> None:
    before = entry(packages={"a": "1", "b": "1", "c": "1"})
    after = entry(packages={"a": "1", "b": "2", "d": "1"}, base=TWO, bytecode="3.11.7")
    assert changes(before, before) == changes(None, after) == []
    assert changes(before, after) == [
        "base docker.io/library/python:3: sha256:111111111111 became sha256:222222222222",
        "linux/amd64: b 1 became 2, removed c, added d 1, bytecode of Python none became 3.11.7",
    ]
