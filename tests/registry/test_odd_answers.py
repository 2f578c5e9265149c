"""Every request of a push and of a copy under every odd answer: done, or a clear error, and never a wrong tag."""

from __future__ import annotations

import itertools

import pytest

from imagebuilder.errors import ImageBuilderError
from imagebuilder.registry import Client, Copier, Fault, MemoryRegistry, RegistrySettings, push, verify_pushed
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
PORTAL = b"<html><body>Sign in to the network</body></html>"
HTML = {"Content-Type": "text/html"}
ODD = {
    "a portal's page": {"status": 200, "headers": HTML, "body": PORTAL},
    "a page that something is created": {"status": 201, "headers": HTML, "body": PORTAL},
    "nothing": {"status": 204},
    "many choices": {"status": 300},
    "a redirect that leads nowhere": {"status": 307},
    "a redirect to itself": {"status": 307, "headers": {"Location": "?"}},
    "a redirect to a file": {"status": 302, "headers": {"Location": "file:///etc/passwd"}},
    "a redirect to the cloud's metadata": {"status": 302, "headers": {"Location": "http://169.254.169.254/latest/"}},
    "a redirect that is no URL": {"status": 302, "headers": {"Location": "http://[::1"}},
    "bad request": {"status": 400, "body": b"{"},
    "unauthorized without a challenge": {"status": 401},
    "unauthorized with an odd challenge": {"status": 401, "headers": {"WWW-Authenticate": 'Bearer realm="'}},
    "unauthorized with a realm elsewhere": {
        "status": 401,
        "headers": {"WWW-Authenticate": 'Bearer realm="http://169.254.169.254/token",service="x"'},
    },
    "forbidden": {"status": 403, "headers": HTML, "body": PORTAL},
    "not found": {"status": 404, "headers": {**HTML, "Docker-Distribution-Api-Version": None}, "body": PORTAL},
    "method not allowed": {"status": 405},
    "conflict": {"status": 409},
    "gone": {"status": 410},
    "range": {"status": 416, "headers": {"Range": "0-5"}},
    "too large": {"status": 413},
    "busy with an odd wait": {"status": 429, "headers": {"Retry-After": "soon"}},
    "busy with a wait before now": {"status": 429, "headers": {"Retry-After": "-5"}},
    "broken": {"status": 500, "body": b"\xff\xfe"},
    "not implemented": {"status": 501},
    "full": {"status": 507},
    "cut short": {"truncate": 3},
    "corrupt": {"corrupt": True},
    "no type, no digest": {"headers": {"Content-Type": None, "Docker-Content-Digest": None}},
    "a length that is none": {"headers": {"Content-Length": "many"}},
    "another digest": {"headers": {"Docker-Content-Digest": "sha256:" + "0" * 64}},
    "a Location on another scheme": {"headers": {"Location": "gopher://x/"}},
}


@pytest.mark.parametrize("times", [1, None])
@pytest.mark.parametrize("kind", ODD)
def test_a_push(kind, times, images):
    old, new = images.image(layers=(b"old",)), images.multi(AMD64, ARM64)
    for number in itertools.count():
        with MemoryRegistry() as registry, client() as patient:
            ref = Reference.parse(f"{registry.host}/team/app:1")
            push(patient, images.store, old, ref)
            rule = registry.fault(Fault(after=number, times=times, **ODD[kind]))

            def publish(patient=patient, ref=ref):
                push(patient, images.store, new, ref, parallel=1)
                verify_pushed(patient, ref, new.digest, [AMD64, ARM64])

            error = outcome(publish)
            assert error is None or len(error.message) > 10
            if not rule.hits:
                assert error is None
                break
            registry.faults.clear()
            there = patient.resolve(ref).digest
            assert there in (old.digest, new.digest)
            assert error is not None or there == new.digest
            # Nothing of it keeps the next push from succeeding.
            publish()
    assert number > 5


@pytest.mark.parametrize("where", ["source", "target"])
@pytest.mark.parametrize("kind", ODD)
def test_a_copy(kind, where, images):
    old, new = images.image(layers=(b"old",)), images.multi(AMD64, ARM64)
    for number in itertools.count():
        with MemoryRegistry() as one, MemoryRegistry() as other, client() as patient:
            src, dst = Reference.parse(f"{one.host}/team/app:1"), Reference.parse(f"{other.host}/team/app:1")
            push(patient, images.store, new, src)
            push(patient, images.store, old, dst)
            rule = (one if where == "source" else other).fault(Fault(after=number, times=None, **ODD[kind]))

            def copy(src=src, dst=dst, patient=patient):
                with Copier(patient) as copier:
                    copier.start(src, dst).result()

            error = outcome(copy)
            assert error is None or len(error.message) > 10
            if not rule.hits:
                assert error is None
                break
            one.faults.clear()
            other.faults.clear()
            there = patient.resolve(dst).digest
            assert there in (old.digest, new.digest)
            assert error is not None or there == new.digest
            copy()
            assert verify_pushed(patient, dst, new.digest, [AMD64, ARM64]).digest == new.digest
    assert number > 3


def outcome(work):
    """The error of work, None where it was done; any other is a fault of ours."""
    try:
        work()
    except ImageBuilderError as error:
        return error
    return None


def client():
    return Client(RegistrySettings(stall_timeout=0.3, connect_timeout=2.0), clock=Waiting())


class Waiting:
    """A clock that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        return 1_700_000_000.0 + self.now

    def sleep(self, seconds):
        self.now += seconds
