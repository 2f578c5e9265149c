"""What is asked of the task SDK's place in an image without fetching anything; tests/e2e/test_sdk.py builds with it."""

import sys

import pytest
from tasksdk.version import VERSION

from imagebuilder.builders.sdk import Sdks
from imagebuilder.builders.site import Site
from imagebuilder.errors import LockError, MissingDependencyError, SpecError
from imagebuilder.plan.sdk import SdkFor
from imagebuilder.spec.sdk import SDK_VERSION


@pytest.fixture
def sdks(tmp_path):
    return Sdks(tmp_path, {}, Site(), "/opt/venv")


def test_both_are_released_together():
    assert SDK_VERSION == VERSION


def test_a_version_that_never_was(sdks):
    with pytest.raises(SpecError) as caught:
        sdks.material(SdkFor("9.9", (3, 11)))
    assert SDK_VERSION in (caught.value.hint or "")


def test_another_version_on_this_machine(sdks, monkeypatch):
    monkeypatch.setitem(__import__("imagebuilder.builders.sdk", fromlist=["x"])._PINS, "0.0.1", ())
    with pytest.raises(MissingDependencyError, match=f"task SDK 0.0.1, and this machine has {VERSION}"):
        sdks.material(SdkFor("0.0.1", (3, 11)))


def test_no_sdk_on_this_machine(sdks, monkeypatch):
    from importlib.metadata import PackageNotFoundError

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("imagebuilder.builders.sdk.distribution", missing)
    with pytest.raises(MissingDependencyError) as caught:
        sdks.material(SdkFor(SDK_VERSION, (3, 11)))
    assert f"tasksdk=={SDK_VERSION}" in (caught.value.hint or "")


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
