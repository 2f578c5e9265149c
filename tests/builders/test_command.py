"""The command line, what is masked, what the site gives, and what is written for a build."""

from __future__ import annotations

import base64
import csv
import os
import subprocess
from urllib.parse import quote

import pytest

from imagebuilder import Image
from imagebuilder.builders.buildx import build_command
from imagebuilder.builders.context import write_context
from imagebuilder.builders.port import BuildRequest
from imagebuilder.builders.site import Site
from imagebuilder.builders.tools import Tools
from imagebuilder.errors import BuilderUnavailableError, MissingDependencyError, SourceChangedError
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.identity.resolver import Resolver
from imagebuilder.plan.lower import lower
from imagebuilder.sources import Sources
from imagebuilder.spec.credential import Credential, Index
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.redact import Redactor

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def plan_of(image):
    item = Resolver(recipe(DEFAULT_EPOCH), Sources).identify([("app", image)])[0]
    return lower(item.image, item.identity, item.materials, recipe(DEFAULT_EPOCH))


@pytest.fixture
def plan():
    return plan_of(Image.from_debian_base("3.11", install_sdk=False).with_labels({"a": 'sp "ace, $x'}))


def test_secrets_stand_in_no_argument(plan, tmp_path):
    site = Site(
        ca_bundle="/site, own/ca.pem",
        index_url=Index("https://host/simple", Credential("ann", "index-password")),
        proxies=(("HTTPS_PROXY", "http://who:proxy-password@proxy:3128"),),
        network="host",
    )
    request = BuildRequest(
        "app",
        plan,
        (AMD64, ARM64),
        {"token-1": "val-one", "key": "line one\nline two"},
        site,
        True,
        ("type=gha",),
        ("type=inline",),
    )
    command = build_command(
        request, dockerfile=tmp_path / "Dockerfile", context=tmp_path, output=tmp_path / 'a,"b', builder="ci"
    )
    text = f"{' '.join(command.args)} {command!r} {request!r} {site!r}"
    for value in ("val-one", "line one", "index-password", "proxy-password"):
        assert value not in text
    assert {"val-one", "line one\nline two"} <= set(command.environ.values())
    args = list(command.args)
    assert args[:3] == ["docker", "buildx", "build"]
    assert args[-1] == str(tmp_path)
    for pair in (
        ("--platform", "linux/amd64,linux/arm64"),
        ("--builder", "ci"),
        ("--network", "host"),
        ("--cache-from", "type=gha"),
        ("--cache-to", "type=inline"),
        ("--build-arg", "HTTPS_PROXY"),
        ("--label", 'a=sp "ace, $x'),
    ):
        if pair[1].startswith("a=sp"):
            continue  # labels of the spec are in the Dockerfile
        assert any(args[at : at + 2] == list(pair) for at in range(len(args))), pair
    assert "--no-cache" in args
    [output] = [args[at + 1] for at in range(len(args)) if args[at] == "--output"]
    assert f'dest={tmp_path}/a,"b' in next(csv.reader([output]))
    secrets = [next(csv.reader([args[at + 1]])) for at in range(len(args)) if args[at] == "--secret"]
    assert ["id=imagebuilder-ca", "src=/site, own/ca.pem"] in secrets
    for fields in secrets:
        if fields[1].startswith("env="):
            assert fields[1].removeprefix("env=") in command.environ
    identifiers = [args[at + 1] for at in range(len(args)) if args[at] == "--label"]
    assert any(label.startswith("io.imagebuilder.identifier=") for label in identifiers)


def test_no_site_adds_nothing(plan, tmp_path):
    command = build_command(BuildRequest("app", plan, (AMD64,)), dockerfile=tmp_path, context=tmp_path, output=tmp_path)
    assert not {"--secret", "--network", "--builder", "--no-cache"} & set(command.args)
    assert command.environ == {}


VALUES = ["hunter2-secret", "päss wörd/+&", "line one of key\nline two of key\n", "$x'\"\\"]


@pytest.mark.parametrize("value", VALUES)
def test_values_are_masked(value):
    redact = Redactor([value])
    for line in value.splitlines():
        for spelled in (line, quote(line, safe=""), base64.b64encode(line.encode()).decode()):
            assert redact(f"before {spelled} after") == "before *** after"
    assert redact("nothing here") == "nothing here"


def test_longer_values_go_first_and_short_ones_stay():
    assert Redactor(["abcd", "abcdef"])("abcdef abcd") == "*** ***"
    assert Redactor(["a", "", " \n"])("banana") == "banana"


def test_the_script_of_a_site_is_shell(tmp_path):
    password = "p'a\"s$s `id` \\ ü"
    site = Site(
        ca_bundle="/x",
        index_url=Index("https://host/simple", Credential("a@b", password)),
        extra_index_urls=(Index("https://one/"), Index("https://two/", Credential("u", "p"))),
    )
    # The bundle is mounted where the script says; here it lies elsewhere.
    bundle = tmp_path / "ca.crt"
    bundle.touch()
    script = site.script.replace("/run/imagebuilder/ca-certificates.crt", str(bundle))
    out = subprocess.run(
        ["/bin/sh", "-c", f"set -eu\n{script}\nenv -0"],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout.decode()
    found = dict(line.partition("=")[::2] for line in out.split("\0") if line)
    assert found["UV_DEFAULT_INDEX"] == f"https://a%40b:{quote(password, safe='')}@host/simple"
    assert found["UV_INDEX"] == found["PIP_EXTRA_INDEX_URL"] == "https://one/ https://u:p@two/"
    assert found["SSL_CERT_FILE"] == found["PIP_CERT"] == str(bundle)
    assert Site().script == ""
    assert set(site.secret_values) == {password, "p"}


def test_passwords_of_proxies_are_secret():
    site = Site(
        proxies=(
            ("HTTP_PROXY", "http://u:p%40ss@h:1"),
            ("NO_PROXY", "localhost"),
            ("X", "u:other@h"),
            ("Y", "http://["),
        )
    )
    assert {"p@ss", "p%40ss", "other"} <= set(site.secret_values)
    assert "p%40ss" not in repr(site)


class FixedTools(Tools):
    def place_uv(self, platform, folder):
        folder.mkdir(parents=True)
        (folder / "uv").write_text(str(platform))


def test_a_context_is_what_docker_build_accepts(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "Dockerfile").write_text("FROM elsewhere")
    (tmp_path / "tools" / ".dockerignore").write_text("*.log")
    (tmp_path / "tools" / "x.log").write_text("")
    image = (
        Image.from_debian_base("3.11", install_sdk=False)
        .with_pip_packages("six")
        .with_source_folder(tmp_path / "tools")
    )
    rendered = write_context(plan_of(image), tmp_path / "out", (AMD64, ARM64), FixedTools(tmp_path, {}))
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"Dockerfile", "tools/amd64/uv", "tools/arm64/uv"} <= found
    [copied] = found - {"Dockerfile", "tools/amd64/uv", "tools/arm64/uv"}
    assert copied.startswith("2-")
    assert copied.endswith("/Dockerfile")
    assert (tmp_path / "out" / "Dockerfile").read_text() == rendered.dockerfile


def test_the_time_of_a_file_in_a_context_stands_for_its_content(tmp_path):
    (tmp_path / "code").mkdir()
    times = []
    for content in ("one", "two", "one"):
        (tmp_path / "code" / "x").write_text(content)
        plan = plan_of(Image.from_base("debian:12").with_source_folder(tmp_path / "code"))
        folder = tmp_path / f"out{len(times)}"
        write_context(plan, folder, (AMD64,), FixedTools(tmp_path, {}))
        times.append(next(folder.rglob("x")).stat().st_mtime_ns)
    assert times[0] == times[2] != times[1]
    assert min(times) > 315_532_800 * 10**9


def test_a_changed_file_stops_the_writing(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "x").write_text("1")
    plan = plan_of(Image.from_debian_base("3.11", install_sdk=False).with_source_folder(tmp_path / "code"))
    (tmp_path / "code" / "x").write_text("2")
    with pytest.raises(SourceChangedError):
        write_context(plan, tmp_path / "out", (AMD64,), FixedTools(tmp_path, {}))


@pytest.fixture
def fetches(monkeypatch, tmp_path):
    """Stands for the package index; `index` says what it does."""
    index = {"has": True, "asked": []}

    def run(command, **_):
        index["asked"].append(command)
        if index["has"]:
            folder = command[command.index("--target") + 1]
            os.makedirs(f"{folder}/bin")
            with open(f"{folder}/bin/uv", "w") as file:
                file.write(command[command.index("--python-platform") + 1])
        return subprocess.CompletedProcess(command, 0 if index["has"] else 1, "", "no network")

    monkeypatch.setattr("imagebuilder.builders.tools.subprocess.run", run)
    own = tmp_path / "own-uv"
    own.write_text("own")
    monkeypatch.setattr("imagebuilder.builders.tools.own_uv", lambda: str(own))
    monkeypatch.setattr("imagebuilder.builders.tools.machine.machine", lambda: "x86_64")
    return index


def test_uv_of_each_platform_is_fetched_once(fetches, tmp_path):
    tools = Tools(tmp_path / "cache", {})
    for _ in range(2):
        assert tools.uv(AMD64).read_text() == "x86_64-unknown-linux-musl"
        assert tools.uv(ARM64).read_text() == "aarch64-unknown-linux-musl"
    assert len(fetches["asked"]) == 2
    tools.place_uv(ARM64, tmp_path / "out")
    assert os.access(tmp_path / "out" / "uv", os.X_OK)
    assert not list((tmp_path / "cache").rglob(".fetch-*"))


def test_offline_this_machines_own_uv_serves_its_platform(fetches, tmp_path):
    fetches["has"] = False
    tools = Tools(tmp_path / "cache", {})
    assert tools.uv(AMD64).read_text() == "own"
    with pytest.raises(BuilderUnavailableError, match="no network"):
        tools.uv(ARM64)


def test_platforms_without_uv(fetches, tmp_path):
    with pytest.raises(BuilderUnavailableError, match="not published for linux/mips"):
        Tools(tmp_path, {}).uv(Platform("linux", "mips"))


def test_uv_is_not_installed(monkeypatch, tmp_path):
    from importlib.metadata import PackageNotFoundError

    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("imagebuilder.builders.tools.version", version)
    with pytest.raises(MissingDependencyError, match="uv"):
        Tools(tmp_path, {}).uv(AMD64)
