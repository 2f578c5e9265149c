"""Copying from and to registries that misbehave."""

from __future__ import annotations

import threading
import time

import pytest

from imagebuilder.errors import DeniedError, PushError, RegistryError, VerificationError
from imagebuilder.registry import (
    Client,
    Copier,
    Credential,
    CredentialStore,
    Fault,
    MemoryRegistry,
    copy,
    push,
)
from imagebuilder.registry import media_types as types
from imagebuilder.registry.memory.tokens import TokenService
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BIG = b"0123456789abcdef" * 100_000


@pytest.fixture
def second():
    with MemoryRegistry() as running:
        yield running


@pytest.fixture
def dst(second):
    return Reference.parse(f"{second.host}/prod/app:1")


@pytest.fixture
def root(images, patient, ref):
    made = images.image(layers=(BIG, b"small"))
    push(patient, images.store, made, ref)
    return made


def there(client, ref, root):
    found = client.resolve(ref)
    return found is not None and found.digest == root.digest


def digest_of(images, content):
    return images.store.add(content, types.OCI_LAYER).digest


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(registry, second, patient, ref, dst, images, root, times, ranges, monkeypatch):
    true = registry.contents.answer

    def answer(asked):
        given = true(asked)
        start = asked.headers.get("range", "").removeprefix("bytes=").removesuffix("-")
        if ranges and start and given.status == 200:
            return given._replace(status=206, body=given.body[int(start) :])
        return given

    monkeypatch.setattr(registry.contents, "answer", answer)
    registry.fault(Fault("GET", digest_of(images, BIG), times=times, truncate=len(BIG) // 4))
    copied = copy(patient, ref, dst)
    assert copied.bytes_moved == len(BIG) + len(b"small") + root.size + images.store.size(config_of(images, root))
    assert second.contents.repositories["prod/app"].blobs[digest_of(images, BIG)] == BIG
    asked = [seen.headers.get("range") for seen in registry.requests("GET", digest_of(images, BIG))]
    assert asked[0] is None
    assert all(asked[1:])
    assert len(second.requests("PUT", digest_of(images, BIG))) == 1  # the upload waited


def config_of(images, root):
    import json

    return json.loads(images.store.contents[root.digest])["config"]["digest"]


def test_a_download_that_is_cut_for_ever_gives_up(registry, second, patient, clock, ref, dst, root, images):
    registry.fault(Fault("GET", digest_of(images, BIG), times=None, reset=True))
    begun = clock.now
    with pytest.raises(RegistryError, match=registry.host):
        copy(patient, ref, dst)
    assert clock.now - begun < 120
    assert not there(patient, dst, root)


def test_a_stalled_download_is_asked_for_again(registry, second, patient, ref, dst, root, images):
    registry.fault(Fault("GET", digest_of(images, BIG), stall=2.0))
    copy(patient, ref, dst)
    assert there(patient, dst, root)


@pytest.mark.parametrize("times", [1, 3])
def test_a_cut_upload_reads_the_source_again(second, patient, ref, dst, root, times):
    second.fault(Fault("PUT", "/uploads/", times=times, reset=True, read=len(BIG) * 4 // 10))
    copy(patient, ref, dst)
    assert there(patient, dst, root)


def test_a_damaged_download_is_repeated_once(registry, patient, ref, dst, root, images):
    registry.fault(Fault("GET", digest_of(images, BIG), corrupt=True))
    copy(patient, ref, dst)
    assert there(patient, dst, root)


@pytest.mark.parametrize("change", [lambda content: content[:-1] + b"!", lambda content: content[:-5], lambda _: b""])
def test_a_corrupt_source_never_becomes_a_tag(registry, second, patient, ref, dst, root, images, change):
    digest = digest_of(images, BIG)
    registry.contents.repositories["team/app"].blobs[digest] = change(BIG)
    with pytest.raises(PushError, match=digest):
        copy(patient, ref, dst)
    assert not there(patient, dst, root)
    assert digest not in second.contents.repository("prod/app").blobs


def test_a_source_with_more_bytes_than_it_says(registry, second, patient, ref, dst, root, images):
    digest = digest_of(images, b"small")
    registry.contents.repositories["team/app"].blobs[digest] = b"small" + BIG
    with pytest.raises(PushError, match=digest):
        copy(patient, ref, dst)
    assert digest not in second.contents.repository("prod/app").blobs


def test_a_source_that_lacks_a_blob(registry, patient, ref, dst, root, images):
    del registry.contents.repositories["team/app"].blobs[digest_of(images, b"small")]
    with pytest.raises(RegistryError, match="has no blob"):
        copy(patient, ref, dst)
    assert not there(patient, dst, root)


def test_tokens_that_expire_on_the_way(images, clock):
    """Both registries refuse all tokens again and again while blobs are moved."""
    users = {"ann": "pw"}
    with (
        MemoryRegistry(tokens=TokenService(users)) as one,
        MemoryRegistry(tokens=TokenService(users)) as other,
        Client(
            credentials=CredentialStore(overrides={host.host: Credential("ann", "pw") for host in (one, other)}),
            clock=clock,
        ) as client,
    ):
        src, dst = Reference.parse(f"{one.host}/team/app:1"), Reference.parse(f"{other.host}/team/app:1")
        root = images.image(layers=tuple(bytes([number]) * 100_000 for number in range(8)))
        push(client, images.store, root, src)

        def revoke(_dst, event):
            if event.state == "uploaded":
                one.tokens.revoke()
                other.tokens.revoke()

        assert copy(client, src, dst, parallel=1, on_event=revoke).digest == root.digest
        assert there(client, dst, root)
        assert len(other.tokens.fetched) > 2


def test_killed_before_the_tag_leaves_it_untouched(second, patient, ref, dst, root, images):
    old = images.image(layers=(b"old",))
    push(patient, images.store, old, dst)

    class KilledError(BaseException):
        pass

    def killed(_dst, event):
        if event.state == "uploaded":
            raise KilledError

    with pytest.raises(KilledError):
        copy(patient, ref, dst, on_event=killed, parallel=1)
    assert there(patient, dst, old)
    again = copy(patient, ref, dst)
    assert again.skipped
    assert there(patient, dst, root)


def test_the_order_is_blobs_children_tag(registry, second, patient, ref, dst, images):
    push(patient, images.store, images.multi(AMD64, ARM64), ref)
    copy(patient, ref, dst)
    kinds = ["tag" if seen.path.endswith("/1") else seen.path.split("/")[4] for seen in second.requests("PUT")]
    assert kinds == ["blobs"] * 4 + ["manifests"] * 2 + ["tag"]


@pytest.mark.parametrize("status", [202, 401, 403, 404, 405])
def test_a_mount_that_is_not_granted_uploads(registry, patient, ref, root, status, monkeypatch):
    if status == 202:
        monkeypatch.setattr(registry.contents, "_begin", lambda name, _from, _mount: begin(name, "", ""))
    begin = type(registry.contents)._begin.__get__(registry.contents)
    if status != 202:
        registry.fault(Fault("POST", "mount=", times=None, status=status))
    other = ref.replace(repository="team/other")
    copied = copy(patient, ref, other)
    assert copied.mounted == ()
    assert copied.bytes_moved > len(BIG)
    assert there(patient, other, root)


def test_a_lost_answer_to_the_tag_is_compared(second, patient, ref, dst, root):
    second.fault(Fault("PUT", "/manifests/", lose=True))
    assert copy(patient, ref, dst).digest == root.digest
    assert len(second.requests("PUT", "/manifests/")) == 1


def test_a_tag_that_becomes_another_is_seen(second, patient, ref, dst, root, images, monkeypatch):
    other = images.image(layers=(b"other",))
    push(patient, images.store, other, dst.with_tag("other"))
    true = second.contents.answer

    def answer(asked):
        given = true(asked)
        if asked.method == "PUT" and asked.path.endswith("/manifests/1"):
            second.contents.repositories["prod/app"].tags["1"] = other.digest
        return given

    monkeypatch.setattr(second.contents, "answer", answer)
    with pytest.raises(VerificationError, match="and now is"):
        copy(patient, ref, dst)


def test_an_immutable_tag(patient, ref, root, images):
    with MemoryRegistry(immutable_tags=True) as registry:
        dst = Reference.parse(f"{registry.host}/prod/app:1")
        push(patient, images.store, images.image(layers=(b"old",)), dst)
        with pytest.raises(PushError, match="immutable"):
            copy(patient, ref, dst)


def test_a_target_that_may_not_be_read_may_still_be_pushed_to(second, patient, ref, dst, root):
    second.fault(Fault("HEAD", "/manifests/", status=403))
    copy(patient, ref, dst)
    assert there(patient, dst, root)


def test_a_target_that_denies(second, patient, clock, ref, dst, root):
    second.fault(Fault("POST", times=None, status=403))
    with pytest.raises(DeniedError):
        copy(patient, ref, dst)
    assert clock.slept == []


@pytest.fixture
def sparse(registry, patient, ref, images):
    """An index of two images, one of which is gone."""
    gone = images.image(ARM64, (b"arm",))
    made = images.index(images.image(AMD64), gone)
    push(patient, images.store, made, ref)
    del registry.contents.repositories["team/app"].manifests[gone.digest]
    return made, gone


def test_a_sparse_index_is_refused_and_names_the_hole(second, patient, ref, dst, sparse):
    _, gone = sparse
    with pytest.raises(VerificationError, match=f"{gone.digest} for linux/arm64") as caught:
        copy(patient, ref, dst)
    assert "--sparse" in caught.value.hint
    assert second.requests("PUT") == []


def allow_sparse(registry, monkeypatch):
    """Let a registry take an index without its children, as several do."""
    true = registry.contents.answer

    def answer(asked):
        if asked.method == "PUT" and "/manifests/" in asked.path and b'"manifests"' in asked.body:
            import json

            name, repository = asked.path.split("/")[2:4], None
            repository = registry.contents.repository("/".join(name))
            for child in json.loads(asked.body)["manifests"]:
                repository.manifests.setdefault(child["digest"], ("hole", b"{}"))
            given = true(asked)
            for digest in [key for key, (kind, _) in repository.manifests.items() if kind == "hole"]:
                del repository.manifests[digest]
            return given
        return true(asked)

    monkeypatch.setattr(registry.contents, "answer", answer)


def test_a_sparse_index_with_sparse(second, patient, ref, dst, sparse, monkeypatch):
    made, gone = sparse
    allow_sparse(second, monkeypatch)
    assert copy(patient, ref, dst, sparse=True).digest == made.digest
    assert patient.resolve(dst.with_digest(gone.digest)) is None
    assert copy(patient, ref, dst, sparse=True).bytes_moved == 0


def test_a_sparse_index_at_a_registry_that_takes_none(patient, ref, dst, sparse):
    with pytest.raises(PushError) as caught:
        copy(patient, ref, dst, sparse=True)
    assert "one platform at a time" in caught.value.hint


def test_one_platform_of_a_sparse_index(patient, ref, dst, sparse):
    assert copy(patient, ref, dst, platforms=[AMD64]).bytes_moved
    with pytest.raises(VerificationError, match="lacks"):
        copy(patient, ref, dst, platforms=[ARM64])


def test_several_platforms_need_sparse_and_keep_what_attests_them(second, patient, ref, dst, images, monkeypatch):
    amd, arm = images.image(AMD64), images.image(ARM64, (b"arm",))
    s390 = images.image(Platform("linux", "s390x"), (b"s390",))
    note = images.attestation(amd)
    made = images.index(amd, arm, s390, note)
    push(patient, images.store, made, ref)
    with pytest.raises(VerificationError, match="has other platforms"):
        copy(patient, ref, dst, platforms=[AMD64, ARM64])
    allow_sparse(second, monkeypatch)
    assert copy(patient, ref, dst, platforms=[AMD64, ARM64], sparse=True).digest == made.digest
    there = set(second.contents.repositories["prod/app"].manifests)
    assert there == {made.digest, amd.digest, arm.digest, note.digest}


def test_a_target_index_with_a_hole_is_filled(second, patient, ref, dst, images):
    made = images.multi(AMD64, ARM64)
    push(patient, images.store, made, ref)
    copy(patient, ref, dst)
    gone = next(digest for digest in second.contents.repositories["prod/app"].manifests if digest != made.digest)
    del second.contents.repositories["prod/app"].manifests[gone]
    assert copy(patient, ref, dst).bytes_moved
    assert patient.resolve(dst.with_digest(gone)) is not None


def test_one_failure_does_not_stop_the_other_images(registry, second, patient, images, ref):
    shared, refs = b"shared" * 10_000, []
    for number in range(4):
        refs.append(ref.replace(repository=f"team/{number}"))
        push(patient, images.store, images.image(layers=(shared, b"own %d" % number)), refs[-1])
    registry.contents.repositories["team/0"].blobs[digest_of(images, b"own 0")] = b"damaged"
    with Copier(patient, parallel=3) as copier:
        started = [copier.start(one, one.replace(registry=second.host)) for one in refs]
        with pytest.raises(PushError):
            started[0].result()
        assert all(future.result().digest for future in started[1:])
    assert len(second.requests("PUT", digest_of(images, shared))) == 1


def test_a_shared_blob_is_brought_by_another_when_the_first_fails(registry, second, patient, images, ref):
    """The first source's copy of the layer is damaged, the second's is not."""
    refs = [ref.replace(repository=f"team/{number}") for number in range(2)]
    for one in refs:
        push(patient, images.store, images.image(layers=(BIG,)), one)
    registry.contents.repositories["team/0"].blobs[digest_of(images, BIG)] = BIG[:-1] + b"!"
    with Copier(patient, parallel=1) as copier:  # one at a time: the first is the first
        first = copier.start(refs[0], refs[0].replace(registry=second.host))
        other = copier.start(refs[1], refs[1].replace(registry=second.host))
        with pytest.raises(PushError):
            first.result()
        assert other.result().digest


def test_two_copies_to_one_repository_upload_once(second, patient, ref, dst, root, images):
    with Copier(patient) as copier:
        started = [copier.start(ref, dst.with_tag(str(number))) for number in range(6)]
        assert {future.result().digest for future in started} == {root.digest}
    assert len(second.requests("PUT", digest_of(images, BIG))) == 1


def test_a_closed_copier_ends_what_is_under_way(second, ref, dst, root, images, client):
    arrived, released, stored = threading.Event(), threading.Event(), threading.Event()
    true = second.contents.answer

    def answer(asked):
        if asked.method != "PUT":
            return true(asked)
        arrived.set()
        released.wait(60)
        try:
            return true(asked)
        finally:
            stored.set()

    second.contents.answer = answer
    copier = Copier(client, parallel=2)
    waiting = copier.start(ref, dst)
    assert arrived.wait(60)
    copier.close()
    with pytest.raises(Exception, match="closed"):
        waiting.result(60)
    released.set()
    assert stored.wait(60)  # a blob arrives, and nothing comes after it
    assert not there(client, dst, root)


def test_no_more_than_parallel_requests_at_a_time(second, client, ref, root, images):
    inside, most, lock = 0, 0, threading.Lock()
    true = second.contents.answer

    def answer(asked):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.002)
        try:
            return true(asked)
        finally:
            with lock:
                inside -= 1

    second.contents.answer = answer
    with Copier(client, parallel=3) as copier:
        for future in [copier.start(ref, Reference.parse(f"{second.host}/p/{number}:1")) for number in range(10)]:
            future.result()
    assert most <= 3
