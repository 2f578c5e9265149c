"""A check of a registry that misbehaves: never a wrong yes or no."""

from __future__ import annotations

import email.utils
import socket
import threading
import time

import pytest

from imagebuilder.errors import RegistryError
from imagebuilder.registry import (
    Absent,
    Client,
    Fault,
    HostSettings,
    MemoryRegistry,
    Present,
    RegistrySettings,
    Unknown,
    check,
    check_many,
    push,
)
from imagebuilder.registry import media_types as types
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.fixture
def root(registry, client, images, ref):
    made = images.multi(AMD64, ARM64)
    push(client, images.store, made, ref)
    registry.seen.clear()
    return made


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("880µs", 880e-6), ("1m30s", None), ("0.5", 0.5)])
def test_retry_after_is_honoured(registry, patient, clock, ref, root, value, seconds):
    registry.fault(Fault("GET", "/manifests/", status=429, headers={"Retry-After": value}))
    verdict = check(patient, ref, (AMD64,))
    if seconds is None:
        assert isinstance(verdict, Unknown)
        assert "1m 30s" in verdict.reason
        assert clock.slept == []
    else:
        assert isinstance(verdict, Present)
        assert clock.slept == [pytest.approx(seconds)]


def test_retry_after_a_date(registry, patient, clock, ref, root):
    when = email.utils.formatdate(clock.time() + 30, usegmt=True)
    registry.fault(Fault("GET", "/manifests/", status=429, headers={"Retry-After": when}))
    assert isinstance(check(patient, ref, (AMD64,)), Present)
    assert clock.slept == [pytest.approx(30, abs=1)]


def test_six_hours_fail_at_once_and_name_the_time(registry, patient, clock, ref, root):
    registry.fault(Fault("GET", "/manifests/", times=None, status=429, headers={"Retry-After": "21600"}))
    verdict = check(patient, ref, (AMD64,))
    assert isinstance(verdict, Unknown)
    assert "6h" in verdict.reason
    assert clock.slept == []
    assert len(registry.seen) == 1


def test_a_wait_is_shared_by_all_requests_to_a_host(registry, patient, clock, ref, root):
    registry.fault(Fault("GET", "/manifests/", status=429, headers={"Retry-After": "20"}))
    assert isinstance(check(patient, ref, (AMD64,)), Present)
    patient.session.transport._not_before = dict.fromkeys(patient.session.transport._pools, clock.now + 5)
    check(patient, ref, (AMD64,))
    assert clock.slept == [20.0, 5.0]


def test_503_twice_then_200(registry, patient, clock, ref, root):
    registry.fault(Fault("GET", "/manifests/", times=2, status=503))
    assert isinstance(check(patient, ref, (AMD64,)), Present)
    assert clock.slept == [0.25, 0.5]


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "10"}])
def test_503_for_ever_is_unknown_within_the_bound(registry, patient, clock, ref, root, headers):
    registry.fault(Fault("GET", "/manifests/", times=None, status=503, headers=headers, body=b"busy"))
    begun = clock.now
    verdict = check(patient, ref, (AMD64,))
    assert isinstance(verdict, Unknown)
    assert "503" in verdict.reason
    assert "busy" in verdict.reason
    assert clock.now - begun <= 60


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_reset_is_tried_again(registry, patient, ref, root, method):
    registry.fault(Fault(method, "/manifests/", times=2, reset=True))
    if method == "HEAD":
        assert patient.resolve(ref).digest == root.digest
    else:
        assert isinstance(check(patient, ref, (AMD64,)), Present)


def test_resets_for_ever_are_unknown(registry, patient, ref, root):
    registry.fault(Fault("GET", "/manifests/", times=None, reset=True))
    verdict = check(patient, ref, (AMD64,))
    assert isinstance(verdict, Unknown)
    assert not verdict.denied


def test_a_stall_is_tried_again(registry, patient, ref, root):
    registry.fault(Fault("GET", "/manifests/", stall=60.0))
    begun = time.monotonic()
    assert isinstance(check(patient, ref, (AMD64,)), Present)
    assert time.monotonic() - begun < 60  # the stall is not waited out


def test_a_stale_connection_is_replaced_at_once(registry, clock, ref, root):
    with Client(clock=clock) as client:
        assert isinstance(check(client, ref, (AMD64,)), Present)
        registry._server.cut_all()
        time.sleep(0.05)
        assert isinstance(check(client, ref, (AMD64,)), Present)
    assert clock.slept == []


def test_a_html_404_is_unknown(registry, patient, ref, root):
    registry.api_header = False
    page = b"<html><body>nothing here</body></html>"
    registry.fault(
        Fault("GET", "/manifests/", times=None, status=404, headers={"Content-Type": "text/html"}, body=page)
    )
    registry.fault(Fault("HEAD", "/manifests/", times=None, status=404, headers={"Content-Type": "text/html"}))
    verdict = check(patient, ref, (AMD64,))
    assert isinstance(verdict, Unknown)
    assert "404" in verdict.reason
    assert "does not come from a registry" in verdict.hint
    with pytest.raises(RegistryError, match="404"):
        patient.resolve(ref)


def test_a_bare_404_without_the_api_header_is_unknown(registry, patient, ref):
    registry.api_header = False
    registry.fault(Fault("GET", "/manifests/", status=404))
    assert isinstance(check(patient, ref, (AMD64,)), Unknown)


def test_a_404_with_the_registrys_errors_is_absent_without_the_header(registry, patient, ref):
    registry.api_header = False
    assert isinstance(check(patient, ref, (AMD64,)), Absent)
    assert patient.resolve(ref) is None


def test_the_accept_header_names_all_four_types(registry, client, ref, root):
    check(client, ref, (AMD64,))
    accept = registry.requests("GET", "/manifests/")[0].headers["accept"]
    for kind in (types.OCI_INDEX, types.OCI_MANIFEST, types.DOCKER_LIST, types.DOCKER_MANIFEST):
        assert kind in accept


def test_an_index_costs_one_request(registry, client, ref, root):
    check(client, ref, (AMD64, ARM64))
    assert len(registry.seen) == 1


def test_deep_asks_for_the_children(registry, client, ref, root):
    assert isinstance(check(client, ref, (AMD64, ARM64), deep=True), Present)
    assert len(registry.seen) == 3
    registry.contents.repositories["team/app"].manifests = {
        digest: kept
        for digest, kept in registry.contents.repositories["team/app"].manifests.items()
        if digest == root.digest
    }
    assert isinstance(check(client, ref, (AMD64,)), Present)
    verdict = check(client, ref, (AMD64,), deep=True)
    assert isinstance(verdict, Absent)
    assert "linux/amd64" in verdict.reason


def test_a_single_images_platform_is_asked_for_once(registry, client, images, ref):
    push(client, images.store, images.image(ARM64), ref)
    registry.seen.clear()
    for _ in range(3):
        assert check(client, ref, (ARM64,)).platforms == (ARM64,)
    assert len(registry.requests("GET", "/blobs/")) == 1


def test_a_child_without_platform_is_never_taken_for_amd64(client, images, ref):
    child = images.image(ARM64).replace(platform=None)
    push(client, images.store, images.index(child), ref)
    assert isinstance(check(client, ref, (AMD64,)), Absent)
    assert check(client, ref, (ARM64,)).platforms == (ARM64,)


def test_an_image_that_says_no_platform(client, images, ref):
    push(client, images.store, images.image(None), ref)
    assert isinstance(check(client, ref, (AMD64,)), Absent)


def test_variants_are_normalised(client, images, ref):
    push(client, images.store, images.multi(Platform("linux", "aarch64", "v8"), Platform("linux", "arm")), ref)
    wanted = (Platform.parse("linux/arm64"), Platform.parse("linux/arm/v7"))
    assert isinstance(check(client, ref, wanted), Present)


@pytest.mark.parametrize("status", [405, 400])
def test_head_refused_falls_back_to_get(registry, client, ref, root, status):
    registry.fault(Fault("HEAD", "/manifests/", status=status))
    assert client.resolve(ref).digest == root.digest


def test_head_without_digest_falls_back_to_get(registry, client, ref, root):
    registry.fault(Fault("HEAD", "/manifests/", headers={"Docker-Content-Digest": None}))
    assert client.resolve(ref).digest == root.digest


@pytest.mark.parametrize("fault", [{"corrupt": True}, {"truncate": 7}])
def test_a_damaged_manifest_is_read_again_and_never_believed(registry, patient, ref, root, fault):
    registry.fault(Fault("GET", "/manifests/", **fault))
    assert isinstance(check(patient, ref, (AMD64,)), Present)
    registry.fault(Fault("GET", "/manifests/", times=None, **fault))
    assert isinstance(check(patient, ref, (AMD64,)), Unknown)


@pytest.mark.parametrize("fault", [{"corrupt": True}, {"truncate": 7}])
def test_a_damaged_config_is_never_believed(registry, patient, images, ref, client, fault):
    push(client, images.store, images.image(ARM64), ref)
    registry.fault(Fault("GET", "/blobs/", times=None, **fault))
    assert isinstance(check(patient, ref, (ARM64,)), Unknown)


def test_another_manifest_under_a_digest(registry, client, images, ref, root):
    other = images.image(layers=(b"other",))
    push(client, images.store, other, ref.with_tag("2"))
    kept = registry.contents.repositories["team/app"].manifests
    kept[root.digest] = kept[other.digest]
    verdict = check(client, ref.with_digest(root.digest), (AMD64,))
    assert isinstance(verdict, Unknown)
    assert other.digest in verdict.reason


@pytest.mark.parametrize(
    "body",
    [b"<html>log in to the network</html>", b"{}", b"[]", b'"x"', b"", b'{"manifests": 3}', b"\xff\xfe", b"[" * 99999],
)
def test_a_200_that_is_no_manifest_is_unknown(registry, patient, ref, body):
    registry.fault(
        Fault("GET", "/manifests/", times=None, status=200, headers={"Content-Type": "text/html"}, body=body)
    )
    assert isinstance(check(patient, ref, (AMD64,)), Unknown)


def test_an_index_with_broken_children_is_unknown(registry, patient, ref):
    body = b'{"manifests": [{"mediaType": "x", "digest": "sha256:../../etc", "size": 1}]}'
    registry.fault(Fault("GET", "/manifests/", status=200, headers={"Content-Type": types.OCI_INDEX}, body=body))
    assert isinstance(check(patient, ref, (AMD64,)), Unknown)


def test_a_huge_manifest_is_refused(registry, patient, ref):
    body = b" " * (5 << 20)
    registry.fault(
        Fault("GET", "/manifests/", times=None, status=200, headers={"Content-Type": types.OCI_INDEX}, body=body)
    )
    verdict = check(patient, ref, (AMD64,))
    assert isinstance(verdict, Unknown)


def test_403_is_denied_at_once(registry, patient, clock, ref):
    registry.fault(Fault("GET", "/manifests/", times=None, status=403))
    verdict = check(patient, ref, (AMD64,))
    assert isinstance(verdict, Unknown)
    assert verdict.denied
    assert "docker login" in verdict.hint
    assert clock.slept == []
    assert len(registry.seen) == 1


def test_denied_means_absent_where_configured(registry, ref):
    registry.fault(Fault("GET", "/manifests/", times=None, status=403))
    hosts = {registry.host: HostSettings(denied_means_absent=True)}
    with Client(RegistrySettings(hosts=hosts)) as client:
        assert isinstance(check(client, ref, (AMD64,)), Absent)


def test_nobody_answers(patient, clock):
    verdict = check(patient, Reference.parse("127.0.0.1:1/a/b:1"), (AMD64,))
    assert isinstance(verdict, Unknown)
    assert "127.0.0.1:1" in verdict.reason
    assert sum(clock.slept) < 5


def test_no_such_host(patient):
    verdict = check(patient, Reference.parse("does-not-exist.invalid/a/b:1"), (AMD64,))
    assert isinstance(verdict, Unknown)
    assert "does-not-exist.invalid" in verdict.reason


def test_not_http_at_all(patient):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(6):
            sock, _ = listener.accept()
            sock.recv(1000)
            sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            sock.close()

    threading.Thread(target=serve, daemon=True).start()
    verdict = check(patient, Reference.parse(f"127.0.0.1:{listener.getsockname()[1]}/a/b:1"), (AMD64,))
    listener.close()
    assert isinstance(verdict, Unknown)
    assert "not HTTP" in verdict.reason


def test_terminal_codes_in_a_message_are_not_passed_on(registry, patient, ref):
    body = b'{"errors": [{"code": "DENIED", "message": "\\u001b[2Jgone\\nline"}]}'
    registry.fault(Fault("GET", "/manifests/", status=403, body=body))
    reason = check(patient, ref, (AMD64,)).reason
    assert "DENIED" in reason
    assert "\x1b" not in reason
    assert "\n" not in reason


def test_many_at_once_and_each_question_once(registry, client, images, ref, root):
    absent = ref.with_tag("none")
    questions = [(ref, (AMD64,)), (absent, (AMD64,)), (ref, (AMD64,)), (ref, (ARM64,))] * 20
    verdicts = check_many(client, questions)
    assert [type(verdict) for verdict in verdicts] == [Present, Absent, Present, Present] * 20
    assert len(registry.seen) == 3
    assert check_many(client, []) == []


def test_mirrors_come_first_and_prove_nothing(registry, images, ref, root, client):
    with MemoryRegistry() as mirror:
        hosts = {registry.host: HostSettings(mirrors=("127.0.0.1:1", f"{mirror.host}/proxy"))}
        with Client(RegistrySettings(hosts=hosts)) as mirrored:
            assert isinstance(check(mirrored, ref, (AMD64,)), Present)  # the mirror has it not
            assert len(mirror.seen) == len(registry.seen) == 1
            push(client, images.store, root, Reference.parse(f"{mirror.host}/proxy/team/app:1"))
            mirror.seen.clear()
            assert isinstance(check(mirrored, ref, (AMD64,)), Present)
            assert len(mirror.seen) == len(registry.seen) == 1
            push(mirrored, images.store, root, ref.with_tag("2"))
            assert not [seen for seen in mirror.seen if seen.method not in ("GET", "HEAD")]
