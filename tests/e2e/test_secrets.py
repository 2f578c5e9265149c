"""A secret is there for the step that asks, and its value nowhere else."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.server
import io
import json
import os
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image, Secret
from imagebuilder.errors import BuildError, SecretError
from imagebuilder.plan.render import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Forge


@contextlib.contextmanager
def watching_arguments() -> Iterator[list[str]]:
    """Every command line of every process of this machine, looked at over and over."""
    seen: dict[str, None] = {}
    done = threading.Event()
    found: list[str] = []

    def watch() -> None:
        while not done.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen[path.read_bytes().decode(errors="replace")] = None
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        found += seen


def everything_kept(forge: Forge, uri: str, cache: Path) -> Iterator[tuple[str, bytes]]:
    """All that a build leaves behind, by the name of its place."""
    forge.pull(uri)
    yield "history", forge.docker("history", "--no-trunc", "--format", "json", uri).encode()
    yield "inspect", forge.docker("image", "inspect", uri).encode()
    yield "config", json.dumps(forge.image_config(uri)).encode()
    yield "manifest", json.dumps(forge.manifest(uri)).encode()
    for number, layer in enumerate(forge.own_layers(uri)):
        yield f"layer {number}", layer
    for path in cache.rglob("*"):
        if path.is_file() and "tools-1" not in path.parts:
            data = path.read_bytes()
            yield str(path), data
            if data[:2] == b"\x1f\x8b" and len(data) < 5_000_000:
                yield f"{path}, unpacked", gzip.decompress(data)


def spellings(value: str) -> set[bytes]:
    return {value.encode(), base64.b64encode(value.encode()).strip(b"=")[:-1], value[::-1].encode()}


def test_values_reach_the_step_and_nothing_else(forge: Forge, tmp_path: Path) -> None:
    token, key = f"tok-{uuid.uuid4().hex}", f"-----BEGIN KEY-----\n{uuid.uuid4().hex}\nq\"'$x\\y\n-----END KEY-----\n"
    (tmp_path / "key.pem").write_text(key)
    cache = tmp_path / "cache"
    image = (
        Image.from_debian_base("3.11", name=forge.name("secrets"), registry=forge.registry)
        .with_commands(
            [
                # The number keeps it from BuildKit's cache, which knows nothing of values. Reversed, which nobody
                # masks, so that the image proves that the value was there.
                (
                    f': {uuid.uuid4().hex}; printf %s "$API_TOKEN" | rev > /seen-variable;'
                    ' echo "the token is $API_TOKEN"; '
                    "sha256sum /run/keys/deploy.pem | cut -d' ' -f1 > /seen-file; cat /run/keys/deploy.pem; "
                    'printf "%s" "$API_TOKEN" | head -c 10; sleep 0.3; printf "%s\\n" "$API_TOKEN" | tail -c +11'
                ),
            ],
            secret_mounts=[Secret("token", group="api"), Secret("deploy key", mount="/run/keys/deploy.pem")],
        )
        .with_commands(['test -z "${API_TOKEN:-}" && ! test -e /run/keys/deploy.pem && ls / > /listing'])
    )
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ |= {"IMAGEBUILDER_CACHE_DIR": str(cache), "API_TOKEN": token}
    made.flags["secrets"] = {"deploy key": f"file:{tmp_path / 'key.pem'}"}
    with watching_arguments() as arguments:
        result = made.build_one(image)
    forge.pull(result.uri)
    import hashlib

    assert forge.sh(result.uri, "cat /seen-variable") == token[::-1]
    assert forge.sh(result.uri, "cat /seen-file").strip() == hashlib.sha256(key.encode()).hexdigest()
    said = "\n".join(getattr(event, "line", "") for event in made.events)
    assert "the token is ***" in said
    middle = key.splitlines()[1]
    values = [token, middle]
    for value in values:
        needles = spellings(value) - {value[::-1].encode()}
        for place, data in everything_kept(forge, result.uri, cache):
            assert not [needle for needle in needles if needle in data], place
        assert not [line for line in arguments if value in line]
        assert value not in repr(made.events)
        assert value not in repr(result)
    assert any("buildx" in line for line in arguments)
    assert not list((cache / "work").glob("build-*"))


def test_a_failing_step_does_not_tell(forge: Forge) -> None:
    value = f"val-{uuid.uuid4().hex}"
    forge.environ["E2E_FAIL"] = value
    image = Image.from_debian_base("3.11", name=forge.name("tell"), registry=forge.registry).with_commands(
        ['echo "it was $E2E_FAIL"; echo $E2E_FAIL | base64; exit 9'], secret_mounts=["E2E_FAIL"]
    )
    with pytest.raises(BuildError, match="exit code 9") as caught:
        forge.build_one(image)
    assert "it was ***" in caught.value.message
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__} {caught.value.__context__}"
    assert value not in shown
    del forge.environ["E2E_FAIL"]


def test_a_missing_value_fails_before_anything_is_built(forge: Forge) -> None:
    image = Image.from_debian_base("3.11", name=forge.name("missing"), registry=forge.registry)
    forge.events.clear()
    with pytest.raises(SecretError) as caught:
        forge.build(
            image.with_commands(["true"], secret_mounts=["E2E_ONE"]),
            image.with_commands(["true"], secret_mounts=["E2E_TWO"]),
        )
    assert "E2E_ONE" in caught.value.message
    assert "E2E_TWO" in caught.value.message
    assert caught.value.exit_code == 2
    assert forge.events == []


class _Index(http.server.BaseHTTPRequestHandler):
    password = ""
    wheel = b""
    refused = 0

    def do_GET(self) -> None:
        wanted = base64.b64encode(f"ann:{self.password}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            type(self).refused += 1
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            return
        name = "privatething-1.0-py3-none-any.whl"
        found = {
            "/simple/privatething/": (b'<!DOCTYPE html><a href="/files/%s">x</a>' % name.encode(), "text/html"),
            f"/files/{name}": (self.wheel, "application/octet-stream"),
        }.get(self.path)
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", found[1] if found else "text/plain")
        self.send_header("Content-Length", str(len(found[0]) if found else 0))
        self.end_headers()
        self.wfile.write(found[0] if found else b"")

    def do_HEAD(self) -> None:
        self.send_error(405)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def index(wheel: Any) -> Iterator[tuple[str, str]]:
    """A simple index (PEP 503) with one package, for those who know the password."""
    file = io.BytesIO()
    wheel(file, "privatething", "1.0", "SECRET = False\n")
    password = f"p@ss/{uuid.uuid4().hex}"
    handler = type("Handler", (_Index,), {"password": password, "wheel": file.getvalue()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", password
        server.shutdown()


def test_credentials_of_an_index(forge: Forge, index: tuple[str, str], tmp_path: Path) -> None:
    from urllib.parse import quote

    host, password = index
    cache = tmp_path / "cache"
    image = Image.from_debian_base("3.11", name=forge.name("index"), registry=forge.registry).with_pip_packages(
        "privatething", index_url=f"http://ann:{quote(password, safe='')}@{host}/simple"
    )
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ |= {"IMAGEBUILDER_CACHE_DIR": str(cache), "IMAGEBUILDER_NETWORK": "host"}
    with watching_arguments() as arguments:
        result = made.build_one(image)
    forge.pull(result.uri)
    assert forge.run(result.uri, "python", "-c", "import privatething; print(privatething.SECRET)") == "False\n"
    for value in (password, quote(password, safe="")):
        for place, data in everything_kept(forge, result.uri, cache):
            assert value.encode() not in data, place
        assert not [line for line in arguments if value in line]
        assert value not in repr(made.events)
        assert value not in repr(image)
        config = made.config()
        with config.make_client() as client:
            engine = config.make_engine(client)
            plan = engine.plan(engine.resolver.identify([("index", image)])[0])
            assert value not in render(plan).dockerfile
            assert value not in repr(plan)


def test_an_index_of_the_site_is_no_part_of_the_image(forge: Forge, index: tuple[str, str], tmp_path: Path) -> None:
    from urllib.parse import quote

    host, password = index
    image = Image.from_debian_base("3.11", name=forge.name("site-index"), registry=forge.registry)
    image = image.with_pip_packages("privatething").with_commands(["env | grep -i index || true; ls /run"])
    plain = forge.config().make_resolver().identify([("x", image)])[0].identity.identifier
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ |= {
        "IMAGEBUILDER_CACHE_DIR": forge.environ["IMAGEBUILDER_CACHE_DIR"],
        "IMAGEBUILDER_NETWORK": "host",
        "IMAGEBUILDER_INDEX_URL": f"http://ann:{quote(password, safe='')}@{host}/simple",
    }
    result = made.build_one(image)
    assert result.identifier == plain
    assert forge.run(result.uri, "python", "-c", "import privatething; print(1)") == "1\n"
    for place, data in everything_kept(made, result.uri, tmp_path):
        assert host.encode() not in data, place
        assert password.encode() not in data, place
    assert password not in repr(made.events)


def test_a_ca_bundle_of_the_site_is_no_part_of_the_image(forge: Forge, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    bundle = tmp_path / "site, ca.pem"  # a comma, which buildx splits its options at
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    bundle.write_text(f"# {mark}\n{system.read_text() if system.exists() else ''}")
    image = Image.from_debian_base("3.11", name=forge.name("ca"), registry=forge.registry).with_commands(
        ['grep -c . "$SSL_CERT_FILE" > /lines; test "$PIP_CERT" = "$SSL_CERT_FILE"', 'test -n "$REQUESTS_CA_BUNDLE"']
    )
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ |= {
        "IMAGEBUILDER_CACHE_DIR": forge.environ["IMAGEBUILDER_CACHE_DIR"],
        "IMAGEBUILDER_CA_BUNDLE": str(bundle),
    }
    result = made.build_one(image)
    assert result.identifier == forge.config().make_resolver().identify([("x", image)])[0].identity.identifier
    assert forge.sh(result.uri, "cat /lines; env").splitlines()[0].isdigit()
    assert "ca-certificates.crt" not in forge.sh(result.uri, "env")
    for place, data in everything_kept(made, result.uri, tmp_path / "nothing"):
        assert mark.encode() not in data, place


def test_proxies_of_the_site_are_no_part_of_the_image(forge: Forge, tmp_path: Path) -> None:
    image = Image.from_debian_base("3.11", name=forge.name("proxy"), registry=forge.registry).with_commands(
        ['echo "$http_proxy"; printf %s "$http_proxy" | rev > /seen']
    )
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ |= {
        "IMAGEBUILDER_CACHE_DIR": forge.environ["IMAGEBUILDER_CACHE_DIR"],
        "HTTP_PROXY": "http://who:pr0xy-pass@127.0.0.1:9",
        "NO_PROXY": "localhost,127.0.0.1",
    }
    with watching_arguments() as arguments:
        result = made.build_one(image)
    for place, data in everything_kept(forge, result.uri, tmp_path):
        assert b"pr0xy-pass" not in data, place
    assert not [line for line in arguments if "pr0xy-pass" in line]
    assert "pr0xy-pass" not in repr(made.events)
    assert forge.sh(result.uri, "rev /seen") == made.environ["HTTP_PROXY"]
    assert os.environ.get("HTTP_PROXY") != made.environ["HTTP_PROXY"]
