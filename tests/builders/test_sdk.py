"""What is asked of the task SDK's place in an image without fetching anything; tests/e2e/test_sdk.py builds with it."""

import sys
from importlib.metadata import PackageNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasksdk.version import VERSION

from imagebuilder.builders.sdk import Sdks
from imagebuilder.builders.sdk_files import belongs, installed, metadata_of_image
from imagebuilder.builders.sdk_kept import pack, unpack
from imagebuilder.builders.site import Site
from imagebuilder.errors import BuildError, LockError, SpecError
from imagebuilder.plan.sdk import SdkFor, pinned_digest
from imagebuilder.spec.credential import Index
from imagebuilder.spec.sdk import SDK_VERSION

NOBODY = Site(index_url=Index("http://127.0.0.1:1/simple"))


@pytest.fixture
def sdks(tmp_path):
    return Sdks(tmp_path, {"UV_HTTP_RETRIES": "0"}, NOBODY, "/opt/venv")


def test_both_are_released_together():
    assert SDK_VERSION == VERSION


def test_a_version_that_never_was(sdks):
    with pytest.raises(SpecError) as caught:
        sdks.material(SdkFor("9.9", (3, 11)))
    assert SDK_VERSION in (caught.value.hint or "")


def test_another_version_than_this_machine_has_is_that_of_the_index():
    assert installed(VERSION) is not None
    assert installed("0.0.1") is None


def test_a_checkout_has_it_uninstalled(monkeypatch):
    there = installed("0.1.0")

    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("imagebuilder.builders.sdk_files.distribution", absent)
    found = installed("0.1.0")
    assert found.modules == there.modules
    assert {name for name, _ in found.metadata} == {name for name, _ in there.metadata}
    commands = dict(found.metadata)["tasksdk-0.1.0.dist-info/entry_points.txt"].decode()
    assert "tasksdk-execute = tasksdk.executor.main:main\n" in commands
    assert installed("0.0.1") is None


def test_nothing_is_fetched_before_it_is_looked_at(sdks):
    material = sdks.material(SdkFor(SDK_VERSION, (3, 11)))
    assert material.digest == sdks.material(SdkFor(SDK_VERSION, (3, 11))).digest
    assert material.digest != sdks.material(SdkFor(SDK_VERSION, (3, 12))).digest
    with pytest.raises(BuildError) as caught:
        material.write(sdks.cache_dir / "there")
    assert "127.0.0.1" in caught.value.message
    for way in ("index_url", f'pip install "tasksdk=={SDK_VERSION}"', "install_sdk=False"):
        assert way in (caught.value.hint or "")


def test_a_lock_is_held_to_whatever_compiles(tmp_path, monkeypatch):
    files = {"lib/a.py": b"a = 1\n", "lib/__pycache__/a.cpython-311.pyc": b"code", "bin/run": b"#!python\n"}
    monkeypatch.setattr(Sdks, "_files", lambda *_: dict(sorted(files.items())))

    def pieces(digest, place):
        return Sdks(tmp_path / place, {}, NOBODY, "/opt/venv").material(SdkFor(SDK_VERSION, (3, 11), "", digest)).pieces

    locked = pinned_digest(pieces("", "here"))
    assert dict(pieces(locked, "here"))["bin/run"].executable
    files["lib/__pycache__/a.cpython-311.pyc"] = b"other code"
    assert pieces(locked, "elsewhere")
    files["lib/a.py"] = b"a = 2\n"
    with pytest.raises(LockError, match=f"task SDK {SDK_VERSION} that this machine has is not the one") as caught:
        pieces(locked, "third")
    assert "imagebuild lock --upgrade-package tasksdk" in (caught.value.hint or "")
    # What is kept on the disk is compared too, and so is what a layer is remembered by.
    assert pieces("", "fourth")
    with pytest.raises(LockError):
        pieces(locked, "fourth")
    sdks = Sdks(tmp_path, {}, NOBODY, "/opt/venv")
    assert len({sdks.material(SdkFor(SDK_VERSION, (3, 11), "", one)).digest for one in ("", locked)}) == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tasksdk/__init__.py", True),
        ("imagebuilder/__init__.py", True),
        ("imagebuilder/spec/image.py", True),
        ("imagebuilder/engine.py", False),
        ("imagebuilder-0.1.0.dist-info/METADATA", True),
        ("imagebuilder-0.1.0.dist-info/entry_points.txt", False),
        ("tasksdk-0.1.0.dist-info/entry_points.txt", True),
        ("tasksdk-0.1.0.dist-info/RECORD", False),
        ("google/protobuf/__pycache__/message.cpython-311.pyc", False),
        ("protobuf-7.36.2.dist-info/LICENSE", True),
        ("bin/tasksdk-execute", False),
        (".lock", False),
    ],
)
def test_what_an_image_has_of_it(name, expected):
    assert belongs(name) is expected


def test_what_the_sdk_lacks_is_not_asked_for():
    needs = b"Requires-Dist: protobuf>=4\n"
    others = b"Requires-Dist: protovalidate>=1\nRequires-Dist: tomli; a < '3'\n"
    assert metadata_of_image(b"Name: x\n" + needs + others + b"\nwords\n") == b"Name: x\n" + needs + b"\nwords\n"


@given(st.dictionaries(st.text(), st.binary()))
def test_what_is_kept_is_found_again(files):
    assert unpack(pack(files)) == files


@given(st.dictionaries(st.text(), st.binary(min_size=1), min_size=1), st.integers(min_value=1))
def test_what_is_damaged_is_not(files, length):
    packed = pack(files)
    assert unpack(packed[: -min(length, len(packed))]) is None


@pytest.fixture
def not_fetched(monkeypatch):
    monkeypatch.setattr(Sdks, "_fetch", lambda *_: None)


def compiled(material):
    return [at for at, _ in material.pieces if at.endswith(".pyc")]


def test_a_lock_says_who_compiles(tmp_path, not_fetched):
    """Two machines with a lock have other Pythons at hand, and what they would compile is not the same."""
    sdks = Sdks(tmp_path, {"HOME": str(tmp_path), "PATH": ""}, Site(), "/opt/venv")
    own = sys.version_info[:2]
    exact = ".".join(map(str, sys.version_info[:3]))
    assert compiled(sdks.material(SdkFor(SDK_VERSION, own, exact)))
    assert not compiled(sdks.material(SdkFor(SDK_VERSION, own, "")))
    with pytest.raises(LockError, match=r"its lock has bytecode of Python 3\.11\.0, which is not on this machine"):
        sdks.material(SdkFor(SDK_VERSION, own, "3.11.0"))
