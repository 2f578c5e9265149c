"""Certificates and proxies, on this machine."""

from __future__ import annotations

import select
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from imagebuilder.errors import ConfigError, RegistryError
from imagebuilder.registry import Absent, Client, Fault, HostSettings, MemoryRegistry, RegistrySettings, Unknown, check
from imagebuilder.registry.proxy import Proxies
from imagebuilder.spec.reference import Reference


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    assert shutil.which("openssl"), "these tests make their certificate with openssl"
    names = "subjectAltName=IP:127.0.0.1,DNS:registry.invalid"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test",
            "-addext",
            names,
            "-keyout",
            folder / "key.pem",
            "-out",
            folder / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with MemoryRegistry(tls=context) as running:
        yield running


def settings(registry, **more):
    more.setdefault("certs_d", ())
    hosts = {registry.host: HostSettings(plain_http=False, ca_bundle=more.pop("own", None))}
    return RegistrySettings(hosts=hosts, **more)


def ask(registry, clock, **more):
    with Client(settings(registry, **more), clock=clock) as client:
        return check(client, Reference.parse(f"{registry.host}/a/b:1"))


def test_an_unknown_authority_is_refused_once_with_advice(secure, clock):
    verdict = ask(secure, clock)
    assert isinstance(verdict, Unknown)
    assert "certificate" in verdict.reason
    assert "ca_bundle" in verdict.hint
    assert clock.slept == []


def test_three_ways_to_trust_an_authority(secure, certificate, clock, tmp_path):
    pem = str(certificate / "cert.pem")
    folder = tmp_path / "certs.d" / secure.host
    folder.mkdir(parents=True)
    shutil.copy(pem, folder / "ca.crt")
    assert isinstance(ask(secure, clock, ca_bundle=pem), Absent)
    assert isinstance(ask(secure, clock, own=pem), Absent)
    assert isinstance(ask(secure, clock, certs_d=(str(tmp_path / "certs.d"),)), Absent)
    assert RegistrySettings.from_environ({"SSL_CERT_FILE": pem}).ca_bundle == pem


def test_a_broken_bundle_is_named(secure, clock, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    for path in (tmp_path / "ca.pem", tmp_path / "none.pem"):
        with pytest.raises(ConfigError, match=path.name):
            ask(secure, clock, own=str(path))


def test_plain_http_where_tls_is_expected(registry, clock):
    verdict = ask(registry, clock)
    assert isinstance(verdict, Unknown)
    assert "plain_http" in verdict.hint


def test_https_to_http_is_refused(secure, registry, certificate, clock):
    secure.fault(Fault("GET", times=None, status=307, headers={"Location": f"{registry.base}/x"}))
    verdict = ask(secure, clock, own=str(certificate / "cert.pem"))
    assert "plain http" in verdict.reason
    assert registry.seen == []


def test_an_upload_location_on_http_is_refused(secure, registry, certificate, clock):
    secure.fault(Fault("POST", times=None, headers={"Location": f"{registry.base}/v2/x"}))
    made = settings(secure, own=str(certificate / "cert.pem"))
    with Client(made, clock=clock) as client, pytest.raises(RegistryError, match="X-Forwarded-Proto"):
        client.can_push(Reference.parse(f"{secure.host}/a/b:1"))
    assert registry.seen == []


class Proxy:
    """Tunnels everything to one port, and keeps the heads that it was sent."""

    def __init__(self, port, answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.port, self.answer, self.heads = port, answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:pw@localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.tunnel, args=(sock,), daemon=True).start()

    def tunnel(self, sock):
        with sock, socket.create_connection(("127.0.0.1", self.port)) as server:
            head = sock.recv(4096)
            self.heads.append(head)
            if head.startswith(b"CONNECT"):
                sock.sendall(self.answer)
            else:
                server.sendall(head)
            while True:
                ready, _, _ = select.select([sock, server], [], [], 5)
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (server if one is sock else sock).sendall(data)


def through(proxy, registry, certificate=None):
    proxies = Proxies.from_environ({"https_proxy": proxy.url, "http_proxy": proxy.url})
    name = f"registry.invalid:{registry.port}"
    own = HostSettings(plain_http=certificate is None, ca_bundle=str(certificate / "cert.pem") if certificate else None)
    return RegistrySettings(hosts={name: own}, proxies=proxies, certs_d=()), Reference.parse(f"{name}/a/b:1")


def test_https_goes_through_a_tunnel(secure, certificate, clock):
    proxy = Proxy(secure.port)
    made, ref = through(proxy, secure, certificate)
    with Client(made, clock=clock) as client:
        assert isinstance(check(client, ref), Absent)
    assert proxy.heads[0].startswith(f"CONNECT registry.invalid:{secure.port} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic dXNlcjpwdw==" in proxy.heads[0]
    assert "proxy-authorization" not in secure.seen[0].headers
    proxy.listener.close()


def test_http_goes_in_absolute_form(registry, clock):
    proxy = Proxy(registry.port)
    made, ref = through(proxy, registry)
    with Client(made, clock=clock) as client:
        check(client, ref)
    assert proxy.heads[0].startswith(
        f"GET http://registry.invalid:{registry.port}/v2/a/b/manifests/1 HTTP/1.1\r\n".encode()
    )
    assert f"Host: registry.invalid:{registry.port}".encode() in proxy.heads[0]
    proxy.listener.close()


def test_a_proxy_that_refuses(secure, certificate, clock):
    proxy = Proxy(secure.port, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    made, ref = through(proxy, secure, certificate)
    with Client(made, clock=clock) as client:
        verdict = check(client, ref)
    assert isinstance(verdict, Unknown)
    assert "407" in verdict.reason
    assert "pw" not in verdict.reason
    proxy.listener.close()


def test_a_stale_tls_connection_is_replaced_at_once(secure, certificate, clock):
    made = settings(secure, own=str(certificate / "cert.pem"))
    ref = Reference.parse(f"{secure.host}/a/b:1")
    with Client(made, clock=clock) as client:
        for _ in range(3):
            assert isinstance(check(client, ref), Absent)
            secure._server.cut_all()
            time.sleep(0.02)
    assert clock.slept == []
