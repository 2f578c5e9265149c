"""Images that a real Kubernetes cannot have, or not yet."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tasksdk.engines.attempt import ExitReason, SecretValue

from .conftest import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Ward

pytestmark = pytest.mark.kube

LOGIN = base64.b64encode(b"somebody:hunter2").decode()
NAME = BASE.partition("/")[2]
OCI = "application/vnd.oci.image"
MANIFEST = f"{OCI}.manifest.v1+json"


class Gate(ThreadingHTTPServer):
    """A registry in front of the tests' own that asks for a login; of the image `slow` it never gives the config."""

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.behind = behind
        self.host = f"localhost:{self.server_address[1]}"
        self.asked = threading.Event()
        self.opened = threading.Event()
        config = {"mediaType": f"{OCI}.config.v1+json", "digest": f"sha256:{os.urandom(32).hex()}", "size": 2}
        self.slow = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).encode()

    def give_login(self, ward: Ward) -> None:
        logins = json.dumps({"auths": {self.host: {"auth": LOGIN}}}).encode()
        secret = {
            "metadata": {"name": "login"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(logins).decode()},
        }
        ward.cluster.core.create_namespaced_secret(ward.cluster.namespace, secret)
        ward.settings["image_pull_secrets"] = ["login"]


class Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gate

    def do_GET(self) -> None:
        gate = self.server
        if self.headers.get("Authorization") != f"Basic {LOGIN}":
            self.answer(401, {"WWW-Authenticate": 'Basic realm="gate"'}, b"")
        elif self.path.startswith("/v2/slow/manifests/"):
            self.answer(200, {"Content-Type": MANIFEST}, gate.slow)
        elif self.path.startswith("/v2/slow/"):
            gate.asked.set()
            gate.opened.wait(60)
            self.answer(404, {}, b"")
        else:
            self.answer(*self.passed_on())

    def do_HEAD(self) -> None:
        self.do_GET()

    def passed_on(self) -> tuple[int, dict[str, str], bytes]:
        asked = urllib.request.Request(f"http://{self.server.behind}{self.path}", method=self.command)
        asked.add_header("Accept", self.headers.get("Accept", "*/*"))
        try:
            with urllib.request.urlopen(asked) as found:
                return found.status, dict(found.headers), found.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if name.lower() not in {"connection", "date", "server"}:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def gate(ward: Ward) -> Iterator[Gate]:
    with Gate(ward.cluster.registry) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield server
        server.opened.set()
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("image", ["{registry}/no/such:1", "UPPER//case", "{base}@sha256:" + "0" * 64])
def test_an_image_that_is_not_there_is_told_at_once(ward: Ward, image: str) -> None:
    ward.settings["image_pull_seconds"] = 1000  # such an end does not wait for it
    end = ward.run(ward.spec("image-1", "true", image=image.format(registry=ward.cluster.registry, base=BASE))).end
    assert end.reason is ExitReason.IMAGE_UNAVAILABLE
    assert end.message
    assert ward.left() == []


def test_a_registry_that_is_down_is_waited_for_a_while(ward: Ward) -> None:
    ward.settings["image_pull_seconds"] = 1
    end = ward.run(ward.spec("down-1", "true", image="localhost:1/no/registry:1")).end
    assert end.reason is ExitReason.IMAGE_UNAVAILABLE
    assert "connection refused" in end.message


def test_a_private_image_needs_a_login(ward: Ward, gate: Gate) -> None:
    ward.settings["image_pull_seconds"] = 1000  # a refused login does not wait for it
    spec = ward.sh("private-1", "echo in", image=f"{gate.host}/{NAME}")
    end = ward.run(spec).end
    assert end.reason is ExitReason.IMAGE_UNAVAILABLE
    assert gate.host in end.message
    assert ward.left() == []
    gate.give_login(ward)
    assert ward.run(spec).lines == ["in"]
    assert ward.left() == ["login"]


def test_an_abort_does_not_wait_for_a_pull(ward: Ward, gate: Gate) -> None:
    gate.give_login(ward)
    spec = ward.sh("pulling-1", "true", image=f"{gate.host}/slow:1", secrets=(K,))

    async def story() -> ExitReason:
        engine = ward.open()
        await engine.submit(spec)
        assert await asyncio.to_thread(gate.asked.wait, 60)
        await engine.abort(spec.name, "enough")
        end = [event async for event in engine.watch(spec.name)][-1].exit
        await engine.close()
        assert end is not None
        return end.reason

    assert asyncio.run(story()) is ExitReason.ABORTED
    assert not gate.opened.is_set()
    assert ward.left() == ["login"]


K = SecretValue("k", "v", variable="K")
