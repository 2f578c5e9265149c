"""Artifacts that refer to images, with the referrers API and with the fallback tag."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

from imagebuilder.errors import PushError, RegistryError, VerificationError
from imagebuilder.registry import Client, Fault, MemoryRegistry, MemoryStore, attach, list_referrers, push
from imagebuilder.registry import media_types as types
from imagebuilder.registry.clock import SystemClock
from imagebuilder.registry.referrers import fallback_tag
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

KIND = "application/vnd.example.sbom"


class HurriedClock(SystemClock):
    """Waits a tenth of what it should: nobody else writes here."""

    def __init__(self) -> None:
        super().__init__()
        true = self.sleep
        self.sleep = lambda seconds: true(seconds / 10)


@pytest.fixture
def client():
    with Client(clock=HurriedClock()) as made:
        yield made


@pytest.fixture
def image(client, any_ref, images):
    root = images.multi(Platform("linux", "amd64"))
    push(client, images.store, root, any_ref)
    return root


def give(client, ref, content=b"{}", kind=KIND):
    store = MemoryStore()
    return attach(client, ref, store, (store.add(content, "application/json"),), kind)


def test_an_artifact_is_listed(client, any_ref, image):
    assert list_referrers(client, any_ref) == ()
    made = give(client, any_ref, b"[1]")
    (found,) = list_referrers(client, any_ref)
    assert (found.digest, found.artifact_type, found.media_type) == (made.digest, KIND, types.OCI_MANIFEST)
    assert made.subject == image.digest
    document = json.loads(client.manifest(any_ref.with_digest(made.digest)).raw)
    assert document["subject"] == {"mediaType": image.media_type, "digest": image.digest, "size": image.size}
    assert document["config"]["mediaType"] == types.OCI_EMPTY
    assert document["artifactType"] == KIND
    assert client.resolve(any_ref).digest == image.digest


def test_the_same_artifact_again_is_the_same(client, any_ref, image):
    assert give(client, any_ref).digest == give(client, any_ref).digest
    assert len(list_referrers(client, any_ref)) == 1


def test_types_are_told_apart(client, any_ref, image):
    give(client, any_ref, b"1", "a/b")
    give(client, any_ref, b"2", "c/d")
    assert [found.artifact_type for found in list_referrers(client, any_ref, "c/d")] == ["c/d"]
    assert len(list_referrers(client, any_ref)) == 2


def test_ten_threads_all_survive(any_ref, image):
    made = []

    def work(number):
        with Client() as own:
            made.append(give(own, any_ref, b"%d" % number).digest)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Client() as client:
        assert {found.digest for found in list_referrers(client, any_ref)} == set(made)
    assert len(set(made)) == 10


@pytest.mark.registry
def test_ten_processes_all_survive(any_ref, image, client):
    code = (
        "import sys; from imagebuilder.registry import *; from imagebuilder.spec.reference import Reference;"
        "store = MemoryStore(); file = store.add(sys.argv[2].encode(), 'text/plain');"
        "print(attach(Client(), Reference.parse(sys.argv[1]), store, (file,), 'a/b').digest)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(any_ref), str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(10)
    ]
    made = {process.communicate()[0].strip() for process in running}
    assert len(made) == 10
    assert {found.digest for found in list_referrers(client, any_ref)} == made


def test_the_api_is_used_where_there_is_one(images, client):
    with MemoryRegistry(referrers=True) as registry:
        ref = Reference.parse(f"{registry.host}/team/app:1")
        push(client, images.store, images.image(), ref)
        made = give(client, ref)
        assert made.fallback is None
        assert client.tags(ref) == ["1"]
        assert [found.digest for found in list_referrers(client, ref)] == [made.digest]


def test_pages_of_the_api_are_followed(images, client):
    with MemoryRegistry(referrers=True) as registry:
        ref = Reference.parse(f"{registry.host}/team/app:1")
        root = images.image()
        push(client, images.store, root, ref)
        made = give(client, ref)
        first = {"schemaVersion": 2, "manifests": [root.to_json()]}
        link = f'</v2/team/app/referrers/{root.digest}?page=2>; rel="next"'
        headers = {"Link": link, "Content-Type": types.OCI_INDEX}
        body = json.dumps(first).encode()
        registry.fault(
            Fault("GET", "/referrers/", status=200, headers=headers | {"Content-Length": str(len(body))}, body=body)
        )
        assert [found.digest for found in list_referrers(client, ref)] == [root.digest, made.digest]


@pytest.fixture
def subject(patient, images, ref):
    root = images.image()
    push(patient, images.store, root, ref)
    return root


def test_an_entry_that_is_overwritten_is_put_again(registry, patient, ref, subject, monkeypatch):
    """Another writer read the index before us, and writes it after we have read ours back."""
    tag = ref.with_tag(fallback_tag(subject.digest))
    other = patient.put_manifest(
        tag, json.dumps({"schemaVersion": 2, "mediaType": types.OCI_INDEX, "manifests": []}).encode(), types.OCI_INDEX
    )
    repository, true, gets = registry.contents.repositories["team/app"], registry.contents.answer, 0

    def answer(asked):
        nonlocal gets
        given = true(asked)
        if asked.method == "GET" and asked.path.endswith(tag.tag):
            gets += 1
            if gets in (2, 5):  # after our first look back, and once more
                repository.tags[tag.tag] = other
        return given

    monkeypatch.setattr(registry.contents, "answer", answer)
    made = give(patient, ref)
    assert [found.digest for found in list_referrers(patient, ref)] == [made.digest]
    assert made.fallback == tag.tag
    assert gets > 5


def test_what_others_wrote_into_the_index_stays(registry, patient, ref, subject):
    first = give(patient, ref, b"1")
    tag = ref.with_tag(first.fallback)
    document = json.loads(patient.manifest(tag).raw) | {"annotations": {"theirs": "yes"}}
    patient.put_manifest(tag, json.dumps(document).encode(), types.OCI_INDEX)
    give(patient, ref, b"2")
    after = json.loads(patient.manifest(tag).raw)
    assert after["annotations"] == {"theirs": "yes"}
    assert len(after["manifests"]) == 2


def test_an_index_that_is_overwritten_for_ever(registry, patient, ref, subject, monkeypatch):
    true = registry.contents.answer

    def answer(asked):
        given = true(asked)
        if asked.method == "PUT" and asked.path.endswith(fallback_tag(subject.digest)):
            del registry.contents.repositories["team/app"].tags[fallback_tag(subject.digest)]
        return given

    monkeypatch.setattr(registry.contents, "answer", answer)
    with pytest.raises(VerificationError, match="overwrite the index"):
        give(patient, ref)


def test_a_lost_answer_to_the_index(registry, patient, ref, subject):
    registry.fault(Fault("PUT", "manifests/sha256-", lose=True))
    made = give(patient, ref)
    assert [found.digest for found in list_referrers(patient, ref)] == [made.digest]


def test_an_api_that_fails_is_no_missing_api(registry, patient, ref, subject):
    registry.fault(Fault("GET", "/referrers/", times=None, status=503))
    with pytest.raises(RegistryError, match="503"):
        give(patient, ref)


def test_an_image_that_is_not_there(client, any_ref):
    with pytest.raises(VerificationError, match="does not exist"):
        give(client, any_ref)
    with pytest.raises(VerificationError, match="does not exist"):
        list_referrers(client, any_ref)


def test_a_fallback_tag_that_is_an_image(registry, patient, images, ref, subject):
    push(patient, images.store, subject, ref.with_tag(fallback_tag(subject.digest)))
    with pytest.raises(PushError, match="is not an index"):
        give(patient, ref)
