"""Where passwords are while packages are resolved, and where not."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from imagebuilder.builders.site import Site
from imagebuilder.errors import BuildError
from imagebuilder.packages import NeedsInstaller
from imagebuilder.spec.credential import Credential, Index
from imagebuilder.spec.layers import PipOptions, PipPackages, Requirements
from imagebuilder.spec.secret import Secret

from .conftest import Server, make_wheel, reply, sha256
from .resolving import names, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSWORD = "s3cret/pä ss"


@pytest.fixture
def spy(tmp_path: Path) -> tuple[str, ...]:
    """A uv that tells what it was given, and fails with it."""
    script = tmp_path / "spy.py"
    script.write_text(
        textwrap.dedent(f"""
        import json, os, sys
        with open({str(tmp_path / "seen.json")!r}, "w") as file:
            command = open("/proc/self/cmdline").read()
            files = [n for n in os.listdir() if os.path.isfile(n)]
            json.dump([command, dict(os.environ), os.listdir(), [open(n).read() for n in files]], file)
        print("error: 401 Unauthorized", *os.environ.values(), file=sys.stderr)
        sys.exit(2)
        """)
    )
    return (sys.executable, str(script))


def test_credentials_are_in_the_environment_alone(
    environ: dict[str, str], tmp_path: Path, spy: tuple[str, ...]
) -> None:
    options = PipOptions(
        index_url=Index("https://one.example/simple", Credential("user1", PASSWORD + "1")),
        extra_index_urls=(Index("https://two.example/simple", Credential("tok3nname", "")),),
        secret_mounts=(Secret("UV_INDEX_X_PASSWORD"),),
    )
    site = Site(index_url=Index("https://three.example/simple", Credential("user3", PASSWORD + "3")))
    with pytest.raises(BuildError) as caught:
        resolve(
            {**environ, "UV_INDEX_URL": "https://stray.example", "PIP_INDEX_URL": "x", "VIRTUAL_ENV": "/x"},
            PipPackages(("thing",), options),
            site=site,
            command=spy,
            secret_value=lambda secret: PASSWORD + "2",
        )
    argv, seen, files, texts = json.loads((tmp_path / "seen.json").read_text())
    values = [PASSWORD + "1", PASSWORD + "2", PASSWORD + "3", "tok3nname"]
    for value in values:
        assert value in seen.values() or any(quote(value, safe="") in one for one in seen.values())
        for shown in (argv, str(caught.value), repr(caught.value), *files, *texts):
            assert value not in shown
            assert quote(value, safe="") not in shown
    assert "refused the credentials" in str(caught.value.hint)
    assert not {"UV_INDEX_URL", "PIP_INDEX_URL", "VIRTUAL_ENV"} & seen.keys()
    assert seen["UV_NO_CONFIG"] == "1"
    assert "https://one.example/simple" in argv


def test_an_index_with_a_password(environ: dict[str, str], tmp_path: Path, make_server: Callable[[], Server]) -> None:
    server = make_server()
    wheel = make_wheel(tmp_path / "w", "zq-a", "1.0")
    data = wheel.read_bytes()

    def guarded(body: bytes, content_type: str) -> Any:
        def answer(handler: Any) -> None:
            if handler.headers.get("Authorization") == "Basic bWU6czNjcmV0cHc=":
                reply(handler, 200, body, content_type=content_type)
            else:
                reply(handler, 401, WWW_Authenticate="Basic realm=x")

        return answer

    page = f'<a href="/f/{wheel.name}#sha256={sha256(data)}">{wheel.name}</a>'.encode()
    server.answers["/simple/zq-a/"] = guarded(page, "text/html")
    server.answers[f"/f/{wheel.name}"] = guarded(data, "application/octet-stream")
    index = Index(f"{server.url}/simple", Credential("me", "s3cretpw"))
    found = resolve(environ, PipPackages(("zq-a",), PipOptions(index_url=index)))
    assert names(found) == ["zq-a 1.0"]
    assert found.logins == (index,)
    assert "s3cretpw" not in repr(found)
    wrong = Index(f"{server.url}/simple", Credential("me", "wr0ngpw"))
    fresh = {**environ, "UV_CACHE_DIR": str(tmp_path / "fresh")}
    with pytest.raises(BuildError) as caught:
        resolve(fresh, PipPackages(("zq-a",), PipOptions(index_url=wrong)))
    assert "wr0ngpw" not in str(caught.value)
    # A URL with a password would end in the lock.
    direct = f"zq-a @ http://me:${{TOKEN}}@{server.url[7:]}/f/{wheel.name}"
    (tmp_path / "r.txt").write_text(direct)
    layer = Requirements(str(tmp_path / "r.txt"), PipOptions(secret_mounts=(Secret("TOKEN"),)))
    found = resolve(environ, layer, secret_value=lambda secret: "s3cretpw")
    assert isinstance(found, NeedsInstaller)
    assert "credentials" in found.reason
