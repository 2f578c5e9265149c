"""The same questions to the double and to the real checker."""

from __future__ import annotations

import pytest

from imagebuilder.registry import Absent, FixedChecker, Present, RegistryChecker, Unknown, push
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
NOBODY = Reference.parse("127.0.0.1:1/no/body:1")


@pytest.fixture(params=["fixed", "registry"])
def checker(request, any_registry, any_ref, images, client):
    root = images.multi(AMD64, ARM64)
    if request.param == "fixed":
        known = {any_ref: Present(root.digest, (AMD64, ARM64)), NOBODY: Unknown("nobody answers")}
        return FixedChecker(known)
    push(client, images.store, root, any_ref)
    return RegistryChecker(client)


def test_present(checker, any_ref):
    for wanted in ((), (AMD64,), (ARM64, AMD64)):
        verdict = checker.check(any_ref, wanted)
        assert isinstance(verdict, Present)
        assert verdict.platforms == (AMD64, ARM64)


def test_absent(checker, any_ref):
    verdict = checker.check(any_ref.with_tag("other"), (AMD64,))
    assert isinstance(verdict, Absent)
    assert "does not exist" in verdict.reason


def test_a_platform_is_missing(checker, any_ref):
    verdict = checker.check(any_ref, (AMD64, Platform("linux", "s390x")))
    assert isinstance(verdict, Absent)
    assert "lacks linux/s390x" in verdict.reason
    assert "linux/amd64, linux/arm64" in verdict.reason


def test_unknown(checker):
    verdict = checker.check(NOBODY, (AMD64,))
    assert isinstance(verdict, Unknown)
    assert not verdict.denied
