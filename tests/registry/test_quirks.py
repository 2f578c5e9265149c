"""Every step of a push under every passing fault, and habits of the registries that people use."""

from __future__ import annotations

import json
import re

import pytest

from imagebuilder.errors import DeniedError, PushError, RateLimitedError, RegistryError
from imagebuilder.registry import Client, Fault, HostSettings, RegistrySettings, push, verify_pushed
from imagebuilder.spec.platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BIG = b"0123456789abcdef" * 600_000
STEPS = {
    "look for a blob": ("HEAD", "/blobs/sha256"),
    "begin an upload": ("POST", "/blobs/uploads/"),
    "upload": ("PUT", "/blobs/uploads/"),
    "put a child": ("PUT", "/manifests/sha256"),
    "put the tag": ("PUT", "/manifests/1"),
    "read back": ("GET", "/manifests/1"),
}
PASSING = {
    "reset": {"reset": True},
    "answer lost": {"lose": True},
    "stall": {"stall": 5.0},
    "503 twice": {"status": 503, "times": 2},
    "429 in seconds": {"status": 429, "headers": {"Retry-After": "7"}},
    "429 as Go writes it": {"status": 429, "headers": {"Retry-After": "880µs".encode().decode("latin-1")}},
    "429 with a date": {"status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}},
}


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("step", STEPS)
def test_what_passes_at_any_step(registry, patient, images, ref, step, fault):
    root = images.multi(AMD64, ARM64)
    method, path = STEPS[step]
    rule = registry.fault(Fault(method, path, **PASSING[fault]))
    pushed = push(patient, images.store, root, ref)
    assert verify_pushed(patient, ref, pushed.digest, [AMD64, ARM64]).digest == root.digest
    assert rule.hits >= 1


@pytest.mark.parametrize("step", [step for step in STEPS if step != "read back"])
def test_six_hours_at_any_step_fail_at_once_and_leave_the_tag(registry, patient, clock, images, ref, step):
    old = images.image(layers=(b"old",))
    push(patient, images.store, old, ref)
    method, path = STEPS[step]
    registry.fault(Fault(method, path, times=None, status=429, headers={"Retry-After": "21600"}))
    with pytest.raises(RateLimitedError, match="6h"):
        push(patient, images.store, images.multi(AMD64, ARM64), ref, parallel=1)
    assert clock.slept == []
    registry.faults.clear()
    assert patient.resolve(ref).digest == old.digest


def changed(registry, monkeypatch, change):
    """Let `change` see every request, and the true answer to it, and give another."""
    plain = registry.answer
    monkeypatch.setattr(registry, "answer", lambda asked: change(asked, plain))


def test_google_uploads_outside_of_v2(registry, patient, images, ref, monkeypatch):
    """Artifact Registry: a relative Location on another path, with state that is to come back as it is."""
    place = "/artifacts-uploads/namespaces/p/repositories/r/uploads/"

    def change(asked, plain):
        if asked.path.startswith(place):
            assert "?upload_id=a%2Fb%3D&digest=sha256:" in asked.path
            session, _, query = asked.path.removeprefix(place).partition("?")
            return plain(asked._replace(path=f"/v2/{ref.repository}/blobs/uploads/{session}?{query}"))
        answer = plain(asked)
        if asked.method == "POST":
            session = answer.headers["Docker-Upload-UUID"]
            answer.headers["Location"] = f"{place}{session}?upload_id=a%2Fb%3D"
        return answer

    changed(registry, monkeypatch, change)
    root = images.multi(AMD64, ARM64)
    push(patient, images.store, root, ref)
    assert verify_pushed(patient, ref, root.digest).digest == root.digest
    assert len(registry.requests("PUT", place)) == 4


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/", "http://[fe80::1]/x", "ftp://elsewhere/x"])
def test_an_upload_location_that_is_refused(registry, patient, images, ref, location):
    registry.fault(Fault("POST", "/uploads/", times=None, headers={"Location": location}))
    with pytest.raises(RegistryError, match=r"link-local or metadata|neither http nor https"):
        push(patient, images.store, images.image(), ref)


def test_harbor_cookies_are_not_kept(registry, patient, images, ref, monkeypatch):
    def change(asked, plain):
        answer = plain(asked)
        answer.headers["Set-Cookie"] = "sid=hunter2; Path=/; HttpOnly\n_gorilla_csrf=x"
        return answer

    changed(registry, monkeypatch, change)
    root = images.image()
    push(patient, images.store, root, ref)
    verify_pushed(patient, ref, root.digest)
    assert not [seen for seen in registry.seen if "cookie" in seen.headers]


def test_nexus_lists_no_tags_as_null(registry, patient, ref):
    registry.fault(Fault("GET", "/tags/list", status=200, body=b'{"name": "team/app", "tags": null}'))
    assert patient.tags(ref) == []


def test_artifactory_lists_digests_as_tags(registry, patient, ref):
    listed = ["1", "sha256__" + "a" * 64]
    registry.fault(Fault("GET", "/tags/list", status=200, body=json.dumps({"tags": listed}).encode()))
    assert patient.tags(ref) == listed


def test_ecr_wants_the_repository_to_be_there(registry, patient, images, ref):
    body = b'{"errors": [{"code": "NAME_UNKNOWN", "message": "The repository does not exist in the registry"}]}'
    registry.fault(Fault("POST", "/uploads/", times=None, status=404, body=body))
    with pytest.raises(RegistryError) as caught:
        push(patient, images.store, images.image(), ref)
    assert "create the repository team/app" in caught.value.hint


def test_ecr_refuses_another_image_under_an_immutable_tag_with_400(registry, patient, images, ref):
    first, second = images.image(layers=(b"1",)), images.image(layers=(b"2",))
    push(patient, images.store, first, ref)
    body = b'{"errors": [{"code": "TAG_INVALID", "message": "The image tag exists and cannot be overwritten"}]}'
    registry.fault(Fault("PUT", "/manifests/1", times=None, status=400, body=body))
    with pytest.raises(PushError, match="immutable") as caught:
        push(patient, images.store, second, ref)
    assert first.digest in caught.value.message
    assert patient.resolve(ref).digest == first.digest


def test_ecr_answers_chunks_with_201_and_a_stale_range(registry, clock, images, ref, monkeypatch):
    def change(asked, plain):
        answer = plain(asked)
        if asked.method == "PATCH":
            answer = answer._replace(status=201)
            answer.headers["Range"] = "0-0"
        return answer

    changed(registry, monkeypatch, change)
    settings = RegistrySettings(hosts={registry.host: HostSettings(chunk_size=5 << 20)})
    root = images.image(layers=(BIG,))
    with Client(settings, clock=clock) as client:
        push(client, images.store, root, ref)
        assert verify_pushed(client, ref, root.digest).digest == root.digest


def test_github_gets_chunks_of_four_mebibytes(registry, clock, images, ref):
    settings = RegistrySettings(hosts={registry.host: HostSettings(chunk_size=4 << 20)})
    root = images.image(layers=(BIG,))
    with Client(settings, clock=clock) as client:
        push(client, images.store, root, ref)
    lengths = [seen.length for seen in registry.requests("PATCH")]
    assert lengths == [4 << 20, 4 << 20, len(BIG) - (8 << 20)]


def test_quay_mounts_with_from_alone(registry, patient, images, ref):
    root = images.image()
    push(patient, images.store, root, ref)
    push(patient, images.store, root, ref.replace(repository="team/other"), mount_from=("team/app",))
    mounts = registry.requests("POST", "mount=")
    assert mounts
    assert all(re.search(r"\?mount=sha256:[0-9a-f]{64}&from=team/app$", seen.path) for seen in mounts)


@pytest.mark.parametrize("status", [401, 403])
def test_a_push_that_is_denied_is_not_repeated(registry, patient, clock, images, ref, status):
    registry.fault(Fault("POST", "/uploads/", times=None, status=status))
    with pytest.raises(DeniedError):
        push(patient, images.store, images.image(), ref, parallel=1)
    assert clock.slept == []
    assert len(registry.requests("POST", "/uploads/")) == 1
