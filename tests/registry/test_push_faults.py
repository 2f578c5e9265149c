"""Pushing to a registry that misbehaves."""

from __future__ import annotations

import io
import json
import threading

import pytest

from imagebuilder.errors import DeniedError, InvalidReferenceError, PushError, RegistryError, VerificationError
from imagebuilder.registry import (
    Client,
    Descriptor,
    Fault,
    HostSettings,
    MemoryRegistry,
    RegistrySettings,
    push,
    verify_pushed,
)
from imagebuilder.registry import media_types as types
from imagebuilder.registry.pusher import PushJob, StoppedError
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BIG = b"0123456789abcdef" * 100_000


@pytest.fixture
def root(images):
    return images.image(layers=(BIG, b"small"))


def there(client, ref, root):
    found = client.resolve(ref)
    return found is not None and found.digest == root.digest


@pytest.mark.parametrize("times", [1, 3])
def test_an_upload_cut_at_40_percent_starts_over(registry, patient, images, ref, root, times):
    registry.fault(Fault("PUT", "/uploads/", times=times, reset=True, read=len(BIG) * 4 // 10))
    push(patient, images.store, root, ref)
    assert there(patient, ref, root)
    assert registry.contents.repositories["team/app"].blobs[images.store.add(BIG, "").digest] == BIG


def test_an_upload_that_is_cut_for_ever_gives_up(registry, patient, clock, images, ref, root):
    registry.fault(Fault("PUT", "/uploads/", times=None, reset=True, read=10))
    with pytest.raises(RegistryError, match="attempts failed"):
        push(patient, images.store, root, ref)
    assert not there(patient, ref, root)


def test_a_lost_answer_to_a_blob_does_not_upload_it_again(registry, patient, images, ref, root):
    registry.fault(Fault("PUT", "/uploads/", lose=True))
    push(patient, images.store, root, ref, parallel=1)
    assert len(registry.requests("PUT", "/uploads/")) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_passing_failures_of_an_upload(registry, patient, clock, images, ref, root, status):
    registry.fault(Fault("POST", "/uploads/", status=status))
    registry.fault(Fault("PUT", "/uploads/", status=status, headers={"Retry-After": "3"}))
    push(patient, images.store, root, ref)
    assert there(patient, ref, root)
    assert 3.0 in clock.slept


def test_a_busy_registry_is_not_waited_for_for_ever(registry, patient, clock, images, ref, root):
    registry.fault(Fault("PUT", "/uploads/", times=None, status=503, headers={"Retry-After": "15"}))
    begun = clock.now
    with pytest.raises(RegistryError, match="503"):
        push(patient, images.store, root, ref, parallel=1)
    assert clock.now - begun <= 125  # once extended, since bytes were sent


def chunked(registry, clock, size=400_000):
    hosts = {registry.host: HostSettings(chunk_size=size)}
    return Client(RegistrySettings(hosts=hosts), clock=clock)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 416, "headers": {"Range": "0-0"}},
        {"status": 404, "body": b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'},
        {"status": 400, "body": b'{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}'},
        {"reset": True, "read": 100_000},
        {"status": 503},
    ],
)
def test_a_lost_chunk_starts_over(registry, clock, images, ref, root, fault):
    registry.fault(Fault("PATCH", "/uploads/", after=2, **fault))
    with chunked(registry, clock) as client:
        push(client, images.store, root, ref)
        assert there(client, ref, root)


@pytest.mark.parametrize("headers", [{"Range": "0-17"}, {"Range": None}, {"Location": None}])
def test_stale_ranges_and_missing_locations_are_no_matter(registry, clock, images, ref, root, headers):
    registry.fault(Fault("PATCH", "/uploads/", times=None, headers=headers))
    with chunked(registry, clock) as client:
        push(client, images.store, root, ref)
        assert there(client, ref, root)
    assert len(registry.requests("PATCH")) == 4


@pytest.mark.parametrize("status", [200, 201, 204])
def test_other_successes_of_a_chunk(registry, clock, images, ref, root, status, monkeypatch):
    true = registry.contents.answer

    def answer(asked):
        given = true(asked)
        return given._replace(status=status) if asked.method == "PATCH" else given

    monkeypatch.setattr(registry.contents, "answer", answer)
    with chunked(registry, clock) as client:
        push(client, images.store, root, ref)
        assert there(client, ref, root)


def test_a_registry_may_ask_for_chunks(registry, patient, ref):
    registry.fault(Fault("POST", "/uploads/", headers={"OCI-Chunk-Min-Length": "17000000"}))
    content = b"x" * 18_000_000
    patient.upload_blob(ref, Descriptor.of(types.OCI_LAYER, content), lambda: io.BytesIO(content))
    assert [seen.length for seen in registry.requests("PATCH")] == [17_000_000, 1_000_000]


def test_413_names_the_setting_at_once(registry, patient, clock, images, ref, root):
    registry.fault(Fault("PUT", "/uploads/", times=None, status=413, read=1000))
    with pytest.raises(PushError, match="413") as caught:
        push(patient, images.store, root, ref, parallel=1)
    assert "chunk_size" in caught.value.hint
    assert registry.host in caught.value.hint
    assert clock.slept == []


def test_digest_invalid_is_tried_once_more(registry, patient, images, ref, root):
    body = b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}'
    registry.fault(Fault("PUT", "/uploads/", status=400, body=body))
    push(patient, images.store, root, ref)
    assert there(patient, ref, root)
    registry.fault(Fault("PUT", "/uploads/", times=None, status=400, body=body))
    with pytest.raises(PushError, match="DIGEST_INVALID"):
        push(patient, images.store, root, ref.replace(repository="team/second"))
    assert len(registry.requests("PUT", "/second/blobs/uploads/")) <= 8


def test_a_source_that_changed_once_is_read_again(patient, ref):
    streams = [io.BytesIO(b"wrong"), io.BytesIO(b"right")]
    blob = Descriptor.of(types.OCI_LAYER, b"right")
    patient.upload_blob(ref, blob, lambda: streams.pop(0))
    assert patient.blob(ref, blob) == b"right"


@pytest.mark.parametrize("content", [b"wrong", b"", b"right and more", b"rig"])
def test_a_source_that_is_another_is_refused(patient, ref, content):
    blob = Descriptor.of(types.OCI_LAYER, b"right")
    with pytest.raises(PushError, match=blob.digest):
        patient.upload_blob(ref, blob, lambda: io.BytesIO(content))
    assert not patient.has_blob(ref, blob.digest)


def test_a_source_that_cannot_be_read_is_not_taken_for_the_network(patient, clock, ref):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(PushError, match="Input/output error"):
        patient.upload_blob(ref, Descriptor.of(types.OCI_LAYER, b"right"), Broken)
    assert clock.slept == []


def test_a_store_that_lacks_a_layer(patient, images, ref, root):
    del images.store.contents[Descriptor.of("", b"small").digest]
    with pytest.raises(VerificationError, match="lacks"):
        push(patient, images.store, root, ref)
    assert not there(patient, ref, root)


def test_a_lost_answer_to_the_tag_is_compared(registry, patient, images, ref, root):
    registry.fault(Fault("PUT", "/manifests/", lose=True))
    assert push(patient, images.store, root, ref).digest == root.digest
    assert len(registry.requests("PUT", "/manifests/")) == 1


def test_a_tag_that_did_not_arrive_is_repeated(registry, patient, images, ref, root):
    registry.fault(Fault("PUT", "/manifests/", reset=True))
    push(patient, images.store, root, ref)
    assert there(patient, ref, root)
    assert len(registry.requests("PUT", "/manifests/")) == 2


def test_a_blob_that_is_not_there_for_a_moment(registry, patient, images, ref, root):
    """Distribution writes links in place, so another push of the same blob makes it vanish for an instant."""
    body = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}'
    registry.fault(Fault("PUT", "/manifests/", times=2, status=400, body=body))
    push(patient, images.store, root, ref)
    assert there(patient, ref, root)


def test_an_immutable_tag(patient, images):
    with MemoryRegistry(immutable_tags=True) as registry:
        ref = Reference.parse(f"{registry.host}/team/app:1")
        first, second = images.image(layers=(b"1",)), images.image(layers=(b"2",))
        push(patient, images.store, first, ref)
        push(patient, images.store, first, ref)
        with pytest.raises(PushError, match="immutable") as caught:
            push(patient, images.store, second, ref)
        assert first.digest in caught.value.message
        assert "another tag" in caught.value.hint


def test_the_order_is_blobs_children_tag(registry, patient, images, ref):
    root = images.multi(AMD64, ARM64)
    push(patient, images.store, root, ref)
    kinds = ["tag" if seen.path.endswith("/1") else seen.path.split("/")[4] for seen in registry.requests("PUT")]
    assert kinds == ["blobs"] * 4 + ["manifests"] * 2 + ["tag"]


def test_killed_before_the_tag_leaves_it_untouched(registry, patient, images, ref, root):
    old = images.image(layers=(b"old",))
    push(patient, images.store, old, ref)

    class KilledError(BaseException):
        pass

    def killed(event):
        if event.state == "uploaded":
            raise KilledError

    with pytest.raises(KilledError):
        push(patient, images.store, root, ref, on_event=killed)
    assert there(patient, ref, old)
    arrived = push(patient, images.store, root, ref).skipped
    assert arrived


def test_one_failure_stops_the_others(registry, patient, images, ref):
    root = images.image(layers=tuple(bytes([number]) * 1000 for number in range(30)))
    registry.fault(Fault("POST", "/uploads/", after=2, times=None, status=403))
    with pytest.raises(DeniedError):
        push(patient, images.store, root, ref, parallel=2)
    assert len(registry.requests("POST", "/uploads/")) < 12


def test_the_cause_is_told_though_what_stopped_for_it_ends_first(patient, images, ref, monkeypatch):
    root = images.image(layers=(b"1" * 3_000_000, b"2" * 3_000_000))
    raised, other_ended, begun = threading.Event(), threading.Event(), []
    plain_blob, plain_open = PushJob.blob, images.store.open

    def blob(self, blob):
        try:
            plain_blob(self, blob)
        except StoppedError:
            other_ended.set()
            raise
        except ValueError:
            raised.set()
            assert other_ended.wait(10)
            raise

    def opened(digest):
        assert digest not in begun[:1] or raised.wait(10)
        return plain_open(digest)

    def on_event(event):
        if event.state == "uploading" and event.size > 1_000_000 and event.digest not in begun:
            begun.append(event.digest)
            if len(begun) == 2:
                raise ValueError("the cause")

    monkeypatch.setattr(PushJob, "blob", blob)
    monkeypatch.setattr(images.store, "open", opened)
    with pytest.raises(ValueError, match="the cause"):
        push(patient, images.store, root, ref, on_event=on_event)


@pytest.mark.parametrize("status", [202, 401, 403, 404, 405])
def test_a_mount_that_is_not_granted_uploads(registry, patient, images, ref, root, status):
    push(patient, images.store, root, ref)
    other = ref.replace(repository="team/other")
    if status == 202:
        registry.contents.repositories["team/app"].blobs.clear()
    else:
        registry.fault(Fault("POST", "mount=", times=None, status=status))
    pushed = push(patient, images.store, root, other, mount_from=("team/app",))
    assert pushed.mounted == ()
    assert there(patient, other, root)


def test_can_push_cancels(registry, patient, ref):
    assert patient.can_push(ref)
    assert [seen.method for seen in registry.seen] == ["POST", "DELETE"]
    assert registry.contents.uploads == {}


def test_can_push_says_why_not(registry, patient, ref):
    registry.fault(Fault("POST", "/uploads/", status=403))
    assert not patient.can_push(ref)
    registry.fault(Fault("POST", "/uploads/", status=404, body=b'{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}'))
    answer = patient.can_push(ref)
    assert not answer
    assert "NAME_UNKNOWN" in answer.reason
    assert "create the repository" in answer.hint


def test_can_push_that_cannot_cancel_may_still_push(registry, patient, ref):
    registry.fault(Fault("DELETE", times=None, status=405))
    assert patient.can_push(ref)


def test_what_is_read_back_is_compared(registry, patient, images, ref, root):
    push(patient, images.store, root, ref)
    verify_pushed(patient, ref, root.digest, (AMD64,))
    with pytest.raises(VerificationError, match="lacks linux/arm64"):
        verify_pushed(patient, ref, root.digest, (ARM64,))
    with pytest.raises(VerificationError, match="and now is"):
        verify_pushed(patient, ref, f"sha256:{'0' * 64}", (AMD64,))
    with pytest.raises(VerificationError, match="does not exist"):
        verify_pushed(patient, ref.with_tag("2"), root.digest, (AMD64,))


def test_events_tell_of_every_blob_one_at_a_time(registry, patient, images, ref, root):
    events, inside = [], threading.Lock()

    def note(event):
        assert inside.acquire(blocking=False)
        events.append(event)
        inside.release()

    push(patient, images.store, root, ref, on_event=note)
    done = [event for event in events if event.state == "uploaded"]
    assert sum(event.size for event in done) == sum(map(len, images.store.contents.values()))
    big = [event.sent for event in events if event.size == len(BIG) and event.state == "uploading"]
    assert big == sorted(big)
    assert len(big) > 3


def test_foreign_layers_are_not_pushed(registry, patient, images, ref):
    root = images.image()
    document = json.loads(images.store.contents[root.digest])
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    document["layers"].append(
        {"mediaType": kind, "digest": f"sha256:{'1' * 64}", "size": 5, "urls": ["https://e.invalid/"]}
    )
    root = images.store.add(json.dumps(document).encode(), types.OCI_MANIFEST)
    push(patient, images.store, root, ref)
    assert there(patient, ref, root)


def test_a_reference_with_tag_and_digest(client, images, ref, root):
    both = ref.replace(digest=root.digest)
    push(client, images.store, root, both)
    assert there(client, ref, root)
    with pytest.raises(PushError, match=root.digest):
        push(client, images.store, root, ref.replace(tag="2", digest=f"sha256:{'0' * 64}"))
    bare = ref.replace(repository="team/bare", tag=None)
    push(client, images.store, root, bare)
    assert client.tags(bare) == ["latest"]
    push(client, images.store, root, ref.replace(repository="team/untagged", tag=None, digest=root.digest))
    assert client.tags(ref.replace(repository="team/untagged")) == []


def test_a_long_upload_outlives_the_deadline_of_an_operation(registry, images, ref):
    root = images.image(layers=(BIG,))

    class Hurried:
        """A minute passes with each piece."""

        def __init__(self):
            self.now = 0.0

        def monotonic(self):
            return self.now

        time = monotonic

        def sleep(self, seconds):
            self.now += seconds

    clock = Hurried()

    def pass_a_minute(event):
        if event.state == "uploading" and event.sent:
            clock.now += 61

    with Client(clock=clock) as client:
        push(client, images.store, root, ref, parallel=1, on_event=pass_a_minute)
        assert there(client, ref, root)
        assert clock.now > 300


def test_what_comes_from_a_store_cannot_add_headers(registry, client, ref):
    with pytest.raises(PushError, match="media type"):
        client.put_manifest(ref, b"{}", "a/b\r\nX-Evil: 1")
    with pytest.raises(InvalidReferenceError):
        client.mount_blob(ref, f"sha256:{'0' * 64}", "a&b=c d")
    assert registry.seen == []
