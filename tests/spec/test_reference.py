"""References and platforms as people write them."""

from __future__ import annotations

import pytest

from imagebuilder.errors import InvalidReferenceError, SpecError
from imagebuilder.spec.credential import has_credentials, mask
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("python", "docker.io/library/python"),
        ("python:3.11", "docker.io/library/python:3.11"),
        ("index.docker.io/python:3.11", "docker.io/library/python:3.11"),
        ("team/app", "docker.io/team/app"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("ghcr.io/a/b/c@" + DIGEST, "ghcr.io/a/b/c@" + DIGEST),
        ("ghcr.io/a/b:1@" + DIGEST, "ghcr.io/a/b:1@" + DIGEST),
        ("[::1]:5000/x", "[::1]:5000/x"),
        ("HOST/x", "HOST/x"),
        ("a__b/c-d.e_f", "docker.io/a__b/c-d.e_f"),
    ],
)
def test_reads_references(written, full):
    reference = Reference.parse(written)
    assert str(reference) == full
    assert Reference.parse(str(reference)) == reference == Reference.parse(reference.familiar)


@pytest.mark.parametrize(
    "written",
    [
        *("", " python", "https://ghcr.io/x", "Python", "a//b", "a:", "a:-x", "a@sha256:12", "ghcr.io/", "/x", "a:b:c"),
        *("x/../y", "host:0/x", "host:99999/x", "a\nb", "a b", "ghcr.io/x:" + "t" * 129, "x" * 300, "-x.io/y", "a_-b"),
    ],
)
def test_refuses_what_is_no_reference(written):
    with pytest.raises(InvalidReferenceError):
        Reference.parse(written)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("LINUX/X86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        (" linux/386 ", "linux/386"),
    ],
)
def test_normalises_platforms(written, normal):
    assert str(Platform.parse(written)) == normal


@pytest.mark.parametrize("written", ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/a b", "linux/amd64\nx"])
def test_refuses_what_is_no_platform(written):
    with pytest.raises(SpecError):
        Platform.parse(written)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://bob:pw@h/x", "https://***@h/x"),
        ("https://token@h/x", "https://***@h/x"),
        ("https://token:@h/x", "https://***@h/x"),
        ("https://b:p@w@h/x", "https://***@h/x"),
        ("git+https://t@h git+ssh://b:p@h", "git+https://***@h git+ssh://***@h"),
        ("redis://:pw@h", "redis://***@h"),
        ("ssh://git@h", None),
        ("git@github.com:a/b", None),
        ("https://h/x@v1", None),
        ("https://h/a@b", None),
        ("https://${T}@h https://bob:$T@h https://$U:${T}@h", None),
        ("pkg @ https://h/x", None),
    ],
)
def test_finds_and_masks_credentials(text, masked):
    assert has_credentials(text) is (masked is not None)
    assert mask(text) == (masked or text)
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("Python:3.11", "'python:3.11'"),
        ("ghcr.io/Team/App:V1", "'ghcr.io/team/app:V1'"),
        ("Not A", "registry/name:tag"),
    ],
)
def test_says_how_to_write_a_reference(written, right):
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(written)
    assert right in (caught.value.hint or "")
