"""Tokens, challenges and where credentials go."""

from __future__ import annotations

import threading

import pytest

from imagebuilder.errors import DeniedError, RegistryError
from imagebuilder.registry import (
    Absent,
    Client,
    Credential,
    CredentialStore,
    Fault,
    MemoryRegistry,
    Present,
    Unknown,
    check,
    check_many,
    push,
)
from imagebuilder.registry.memory.tokens import TokenService
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

AMD64 = Platform("linux", "amd64")
BIG = b"0123456789abcdef" * 100_000


@pytest.fixture
def secret_ref(private):
    return Reference.parse(f"{private.host}/team/app:1")


@pytest.fixture
def root(images):
    return images.index(images.image(AMD64, (BIG, b"b", b"c", b"d")))


@pytest.fixture
def pushed(private, ann, images, secret_ref, root):
    push(ann, images.store, root, secret_ref)
    private.seen.clear()
    private.tokens.fetched.clear()
    return root


def store(registry, user="ann", password="pw", **more):
    return CredentialStore(overrides={registry.host: Credential(user, password, **more)})


def test_a_push_upgrades_from_pull_to_push(private, ann, images, secret_ref, root):
    assert isinstance(check(ann, secret_ref, (AMD64,)), Absent)
    push(ann, images.store, root, secret_ref)
    assert isinstance(check(ann, secret_ref, (AMD64,)), Present)
    assert private.tokens.fetched == [("repository:team/app:pull",), ("repository:team/app:pull,push",)]


def test_a_hundred_401s_fetch_one_token(private, pushed, secret_ref):
    private.fault(Fault("GET", "/token", delay=0.1))
    with Client(credentials=store(private)) as client:
        questions = [(secret_ref.with_tag(f"t{number}"), (AMD64,)) for number in range(100)]
        verdicts = check_many(client, questions, parallel=100)
    assert all(isinstance(verdict, Absent) for verdict in verdicts)
    assert len(private.tokens.fetched) == 1


def test_a_hundred_denials_ask_once(private, secret_ref):
    private.fault(Fault("GET", "/token", times=None, status=401, delay=0.05))
    with Client(credentials=store(private)) as client:
        questions = [(secret_ref.with_tag(f"t{number}"), (AMD64,)) for number in range(100)]
        verdicts = check_many(client, questions, parallel=100)
    assert all(isinstance(verdict, Unknown) and verdict.denied for verdict in verdicts)
    assert len(private.requests("GET", "/token")) == 1


def test_a_token_that_expires_between_blobs(private, ann, images, secret_ref, root):
    blobs = iter(range(100))

    def expire(event):
        if event.state == "uploaded" and next(blobs) == 1:
            private.tokens.revoke()

    push(ann, images.store, root, secret_ref, parallel=1, on_event=expire)
    assert isinstance(check(ann, secret_ref, (AMD64,)), Present)


def test_a_token_that_expires_during_an_upload(private, ann, images, secret_ref, root):
    expired = threading.Event()

    def expire(event):
        if event.state == "uploading" and event.sent and not expired.is_set():
            expired.set()
            private.tokens.revoke()

    push(ann, images.store, root, secret_ref, parallel=1, on_event=expire)
    assert expired.is_set()
    assert isinstance(check(ann, secret_ref, (AMD64,)), Present)


def test_a_token_is_refreshed_five_seconds_early(private, pushed, secret_ref, clock):
    private.tokens.expires_in = 100
    with Client(credentials=store(private), clock=clock) as client:
        for passed, fetched in ((0, 1), (94, 1), (1.5, 2)):
            clock.now += passed
            assert isinstance(check(client, secret_ref, (AMD64,)), Present)
            assert len(private.tokens.fetched) == fetched
    assert len([seen for seen in private.requests("GET", "/v2/") if not seen.authorization]) == 1


def test_a_short_life_counts_as_sixty_seconds(private, pushed, secret_ref, clock):
    private.tokens.expires_in = 1
    with Client(credentials=store(private), clock=clock) as client:
        for passed, fetched in ((0, 1), (50, 1), (10, 2)):
            clock.now += passed
            assert isinstance(check(client, secret_ref, (AMD64,)), Present)
            assert len(private.tokens.fetched) == fetched


@pytest.mark.parametrize("user", [("ann", "wrong"), ("bob", "pw"), None])
def test_denied_is_fast_and_not_repeated(private, clock, secret_ref, user):
    credentials = store(private, *user) if user else None
    with Client(credentials=credentials, clock=clock) as client:
        verdict = check(client, secret_ref, (AMD64,))
        assert isinstance(verdict, Unknown)
        assert verdict.denied
        assert "docker login" in verdict.hint
        assert "pw" not in verdict.reason
        assert len(private.seen) <= 3
        access = client.can_push(secret_ref)
    assert not access
    assert clock.slept == []


def test_public_images_need_no_login(private, ann, client, images, root):
    ref = Reference.parse(f"{private.host}/public/app:1")
    push(ann, images.store, root, ref)
    assert isinstance(check(client, ref, (AMD64,)), Present)
    assert not client.can_push(ref)


def test_identity_tokens_are_posted(private, pushed, secret_ref):
    with Client(credentials=store(private, "", "", identity_token="identity-ann")) as client:
        assert isinstance(check(client, secret_ref, (AMD64,)), Present)
    assert [seen.method for seen in private.requests(part="/token")] == ["POST"]


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_identity_tokens_are_sent_by_get_where_post_is_refused(private, pushed, secret_ref, status):
    private.fault(Fault("POST", "/token", times=None, status=status))
    with Client(credentials=store(private, "ann", "", identity_token="pw")) as client:
        assert isinstance(check(client, secret_ref, (AMD64,)), Present)


def test_the_form_with_an_identity_token_follows_no_redirect(private, secret_ref):
    with MemoryRegistry() as thief:
        headers = {"Location": f"{thief.base}/token"}
        private.fault(Fault("POST", "/token", times=None, status=307, headers=headers))
        with Client(credentials=store(private, "", "", identity_token="identity-ann")) as client:
            assert isinstance(check(client, secret_ref, (AMD64,)), Unknown)
        assert thief.seen == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>",
        b'{"token": ""}',
        b'{"token": 5}',
        b'{"token": "a\\r\\nX: y"}',
        b"[" * 99999,
        b" " * (2 << 20),
        b'{"token": "' + b"x" * (2 << 20) + b'"}',
    ],
)
def test_broken_and_huge_token_answers(private, clock, secret_ref, body):
    private.fault(Fault("GET", "/token", times=None, status=200, body=body))
    with Client(credentials=store(private), clock=clock) as client:
        verdict = check(client, secret_ref, (AMD64,))
    assert isinstance(verdict, Unknown)
    assert not verdict.denied
    assert "token" in verdict.reason
    assert len(verdict.reason) < 500


@pytest.mark.parametrize("life", ["null", '"soon"', "-5", "1e400", "true"])
def test_odd_lifetimes(private, pushed, secret_ref, life, monkeypatch):
    true = private.tokens.answer

    def answer(asked):
        given = true(asked)
        return given._replace(body=given.body.replace(b"300", life.encode()).replace(b'"token"', b'"access_token"'))

    monkeypatch.setattr(private.tokens, "answer", answer)
    with Client(credentials=store(private)) as client:
        assert isinstance(check(client, secret_ref, (AMD64,)), Present)


def test_a_token_service_that_is_down_passes(private, pushed, secret_ref, clock):
    private.fault(Fault("GET", "/token", times=2, status=503))
    with Client(credentials=store(private), clock=clock) as client:
        assert isinstance(check(client, secret_ref, (AMD64,)), Present)
    assert clock.slept == [0.25, 0.5]


def basic_registry(registry, order):
    challenge = {
        "basic": 'Basic realm="here"',
        "bearer": f'Bearer realm="{registry.base}/token",service="memory"',
        "http": 'Bearer realm="http://token.invalid/token",service="memory"',
        "odd": 'Negotiate, GSS-SPNEGO abc==, Digest realm="x, y", nonce=z',
    }
    return {"WWW-Authenticate": "".join(challenge.get(part, part) for part in order)}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["bearer", ", ", "basic"], "Bearer"),
        (["basic", ", ", "bearer"], "Bearer"),
        (["basic", "\n", "bearer"], "Bearer"),
        (["bearer", "\n", "basic"], "Bearer"),
        (["odd", ", ", "basic", ", ", "bearer"], "Bearer"),
        (["odd", "\n", "basic"], "Basic"),
        (["http", ", ", "basic"], "Basic"),
        (["odd"], None),
        (["http"], None),
        ([], None),
    ],
)
def test_several_challenges(registry, images, client, order, expected):
    ref = Reference.parse(f"{registry.host}/team/app:1")
    push(client, images.store, images.image(), ref)
    registry.seen.clear()
    registry.tokens = None
    registry.fault(Fault("GET", "/token", status=200, body=b'{"token": "t"}'))
    registry.fault(Fault("GET", "/manifests/", status=401, headers=basic_registry(registry, order)))
    with Client(credentials=store(registry)) as asking:
        verdict = check(asking, ref)
    sent = [seen.authorization for seen in registry.requests("GET", "/manifests/")]
    if expected is None:
        assert isinstance(verdict, Unknown)
        assert verdict.denied
        assert sent == [None]
    else:
        assert isinstance(verdict, Present)
        assert sent[1].startswith(f"{expected} ")


def test_basic_is_remembered_and_refused_but_once(registry, images, client):
    ref = Reference.parse(f"{registry.host}/team/app:1")
    push(client, images.store, images.image(), ref)
    registry.seen.clear()
    registry.fault(Fault("GET", "/manifests/", status=401, headers=basic_registry(registry, ["basic"])))
    with Client(credentials=store(registry)) as asking:
        assert isinstance(check(asking, ref), Present)
        assert isinstance(check(asking, ref), Present)
        assert len(registry.seen) == 3
        registry.fault(Fault("GET", "/manifests/", times=None, status=401, headers=basic_registry(registry, ["basic"])))
        assert check(asking, ref).denied
    assert len(registry.seen) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_carries_no_authorization(private, ann, images, pushed, secret_ref, status):
    image = images.image(AMD64, (b"x",))
    push(ann, images.store, image, secret_ref)
    with MemoryRegistry() as storage:
        target = "/v2/team%2fApp/b%2Fc?X-Amz-Signature=a%2fb%3D&x=%7e+%20'()"
        headers = {"Location": storage.base + target}
        private.fault(Fault("GET", "/blobs/", status=status, headers=headers))
        config = ann.manifest(secret_ref).config
        storage.fault(Fault("GET", status=200, body=images.store.contents[config.digest]))
        assert ann.blob(secret_ref, config)
        assert [(seen.path, seen.authorization) for seen in storage.seen] == [(target, None)]
    assert private.requests("GET", "/blobs/")[-1].authorization


def test_a_redirect_on_the_same_origin_keeps_it(private, ann, pushed, secret_ref):
    headers = {"Location": "/v2/team/app/manifests/1?again=%2f"}
    private.fault(Fault("GET", "/manifests/", status=307, headers=headers))
    assert isinstance(check(ann, secret_ref, (AMD64,)), Present)
    assert private.seen[-1].path.endswith("?again=%2f")
    assert private.seen[-1].authorization


def test_an_upload_location_on_another_host(private, ann, images, secret_ref, root):
    with MemoryRegistry() as storage:
        storage.contents.uploads["x"] = bytearray()
        assert not ann.has_blob(secret_ref, root.digest)  # a token is there
        headers = {"Location": f"{storage.base}/v2/team/app/blobs/uploads/x?_state=a%2fb%3D"}
        private.fault(Fault("POST", "/uploads/", headers=headers))
        blob = root.replace()
        content = images.store.contents[blob.digest]
        ann.upload_blob(secret_ref, blob, lambda: images.store.open(blob.digest))
        assert storage.contents.repositories["team/app"].blobs == {blob.digest: content}
        assert storage.seen[0].authorization is None
        assert "_state=a%2fb%3D&digest=sha256:" in storage.seen[0].path


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://169.254.169.254/latest/meta-data/", "link-local or metadata"),
        ("http://[fe80::1]/x", "link-local or metadata"),
        ("http://[::ffff:169.254.169.254]/x", "link-local or metadata"),
        ("http://metadata.google.internal/x", "link-local or metadata"),
        ("http://2852039166/latest", "link-local or metadata"),
        ("http://0xa9fea9fe/latest", "link-local or metadata"),
        ("ftp://elsewhere/x", "neither http nor https"),
        ("http://user:pass@127.0.0.1/x", "user name"),
        ("http://127.0.0.1:99999/x", "port"),
    ],
)
def test_redirects_that_are_refused(registry, patient, ref, location, why):
    registry.fault(Fault("GET", "/manifests/", times=None, status=307, headers={"Location": location}))
    verdict = check(patient, ref)
    assert isinstance(verdict, Unknown)
    assert why in verdict.reason
    assert "pass@" not in verdict.reason


def test_a_redirect_in_circles(registry, patient, ref):
    registry.fault(
        Fault("GET", "/manifests/", times=None, status=307, headers={"Location": "/v2/team/app/manifests/1"})
    )
    assert "circles" in check(patient, ref).reason


def test_401_of_a_storage_host_is_no_denial(registry, client, images, ref):
    push(client, images.store, images.image(), ref)
    with MemoryRegistry() as storage:
        registry.fault(Fault("GET", "/blobs/", times=None, status=307, headers={"Location": f"{storage.base}/x"}))
        storage.fault(Fault("GET", times=None, status=403, body=b"signature expired"))
        with pytest.raises(RegistryError) as caught:
            client.blob(ref, client.manifest(ref).config)
    assert "signature expired" in caught.value.message


def test_mounting_asks_for_both_repositories(private, ann, images, pushed, secret_ref):
    other = secret_ref.replace(repository="team/other")
    assert push(ann, images.store, pushed, other, mount_from=("team/app",)).mounted
    asked = ("repository:team/app:pull", "repository:team/other:pull,push")
    assert asked in private.tokens.fetched


def test_a_mount_that_no_token_allows_uploads(images, root):
    with MemoryRegistry(tokens=TokenService({"ann": "pw"})) as registry:
        ref = Reference.parse(f"{registry.host}/team/app:1")
        with Client(credentials=store(registry)) as client:
            push(client, images.store, root, ref)
            registry.tokens._allowed = lambda asked, user: (
                [] if "team/app" in asked else [f"repository:team/other:{action}" for action in ("pull", "push")]
            )
            pushed = push(client, images.store, root, ref.replace(repository="team/other"), mount_from=("team/app",))
    assert pushed.mounted == ()


def test_no_secret_is_shown():
    credential = Credential("ann", "hunter2", identity_token="hunter3")
    shown = repr(credential) + str(credential)
    assert "hunter" not in shown


def test_denied_names_the_login_that_was_tried(private, secret_ref):
    credentials = CredentialStore(
        overrides={private.host: Credential("bob", "hunter2", source="~/.docker/config.json")}
    )
    with Client(credentials=credentials) as client, pytest.raises(DeniedError) as caught:
        client.manifest(secret_ref)
    assert "bob" in caught.value.message
    assert "~/.docker/config.json" in caught.value.message
    assert "hunter2" not in str(caught.value)
    assert caught.value.codes == ("UNAUTHORIZED",)
