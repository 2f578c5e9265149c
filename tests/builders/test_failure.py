# ruff: noqa: RUF001 - what uv prints
from __future__ import annotations

import base64
import json

import pytest

from imagebuilder.builders.failure import build_failure
from imagebuilder.builders.rawjson import ProgressReader
from imagebuilder.errors import BuildError, BuilderUnavailableError

NUMBERED = ((0, "FROM python:3.11"), (1, "apt-get install git"), (2, "uv pip install numpy"))
TITLES = ("from_debian_base 3.11", "apt packages git", "pip packages numpy")


def failed_step(log: str, code: int = 1, number: int = 3):
    reader = ProgressReader("app", NUMBERED)
    error = f'process "/bin/sh -c ..." did not complete successfully: exit code: {code}'
    statuses = (
        {"vertexes": [{"digest": "v", "name": f"[stage-1 {number}/3] RUN <<'EOF'", "started": "2024-01-01T00:00:00Z"}]},
        {"logs": [{"vertex": "v", "data": base64.b64encode(log.encode()).decode()}]},
        {"vertexes": [{"digest": "v", "name": f"[stage-1 {number}/3] RUN <<'EOF'", "error": error}]},
    )
    for status in statuses:
        list(reader.feed(json.dumps(status, indent=2) + "\n"))
    list(reader.feed(f"ERROR: failed to solve: {error}\n"))
    reader.close()
    return build_failure("app", reader, TITLES, 1)


def failed_engine(words: str = "", code: int = 1, vertex: str = ""):
    reader = ProgressReader("app", NUMBERED)
    if vertex:
        status = {"vertexes": [{"digest": "v", "name": "[internal] load metadata for x", "error": vertex}]}
        list(reader.feed(json.dumps(status) + "\n"))
    list(reader.feed(words))
    reader.close()
    return build_failure("app", reader, TITLES, code)


# What the tools really print, and words of the advice that must follow.
STEPS = {
    "apt package": ("E: Unable to locate package gti\n", 100, "packages.debian.org"),
    "apt candidate": ("E: Package 'python3.9' has no installation candidate\n", 100, "packages.debian.org"),
    "apt version": ("E: Version '9' for 'curl' was not found\n", 100, "packages.debian.org"),
    "apt offline": (
        (
            "Err:1 http://deb.example.org/debian bookworm InRelease\n"
            "  Temporary failure resolving 'deb.example.org'\nE: Unable to locate package git\n"
        ),
        100,
        "network",
    ),
    "apt refused": (
        "E: Failed to fetch http://x/y.deb  Could not connect to x:80 (1.2.3.4). - connect (111: Connection refused)\n",
        100,
        "network",
    ),
    "apt TLS": (
        "  Certificate verification failed: The certificate is NOT trusted. The certificate issuer is unknown.\n",
        100,
        "ca_bundle",
    ),
    "apt disk": ("E: You don't have enough free space in /var/cache/apt/archives/.\n", 100, "disk"),
    "uv absent": (
        (
            "  × No solution found when resolving dependencies:\n"
            "  ╰─▶ Because nmupy was not found in the package registry and you require nmupy, we can conclude\n"
            "      requirements are unsatisfiable.\n"
        ),
        1,
        "index_url",
    ),
    "uv no wheel": (
        (
            "  × No solution found when resolving dependencies:\n"
            "  ╰─▶ Because torch==1.0 has no wheels with a matching Python ABI tag (e.g., `cp311`)\n"
        ),
        1,
        "no wheel",
    ),
    "uv no wheel for a lock": (
        (
            "error: Distribution `x==1 @ registry+https://pypi.test/simple` can't be installed because it doesn't have "
            "a source distribution or wheel for the current platform\n"
        ),
        2,
        "no wheel",
    ),
    "uv conflict": (
        (
            "  × No solution found when resolving dependencies:\n"
            "  ╰─▶ Because you require six==1.16.0 and six<1, your requirements are unsatisfiable.\n"
        ),
        1,
        "contradict",
    ),
    "uv network": (
        (
            "error: Failed to fetch: `https://pypi.test/simple/six/`\n  Caused by: error sending request for url\n"
            "  Caused by: client error (Connect)\n  Caused by: tcp connect error: Connection refused (os error 111)\n"
        ),
        2,
        "network",
    ),
    "uv DNS": (
        "error: Failed to fetch: `https://pypi.test/simple/six/`\n  Caused by: dns error: failed to lookup address\n",
        2,
        "network",
    ),
    "uv TLS": (
        (
            "error: Failed to fetch: `https://pypi.test/simple/six/`\n  Caused by: error sending request for url\n"
            "  Caused by: invalid peer certificate: UnknownIssuer\n"
        ),
        2,
        "ca_bundle",
    ),
    "uv denied": (
        (
            "error: Failed to fetch: `https://host/simple/x/`\n"
            "  Caused by: HTTP status client error (403 Forbidden) for url (https://host/simple/x/)\n"
        ),
        2,
        "credentials",
    ),
    "pip": ("ERROR: No matching distribution found for nmupy\n", 1, "index_url"),
    "curl": ("curl: (6) Could not resolve host: example.invalid\n", 6, "network"),
    "curl TLS": ("curl: (60) SSL certificate problem: unable to get local issuer certificate\n", 60, "ca_bundle"),
    "disk": ("OSError: [Errno 28] No space left on device\n", 1, "prune"),
    "killed": ("", 137, "memory"),
    "memory": ("MemoryError\n", 1, "memory"),
    "compiler": ("error: command 'gcc' failed: No such file or directory\n", 1, "build-essential"),
    "compiler of setuptools": (
        (
            "  × Failed to build `psycopg2==2.9.9`\n  ├─▶ The build backend returned an error\n"
            "      Error: pg_config executable not found.\n"
        ),
        1,
        "build-essential",
    ),
    "shell": ("/bin/sh: 3: maek: not found\n", 127, "with_apt_packages"),
    "rights": ("touch: cannot touch '/etc/x': Permission denied\n", 1, "with_user"),
    "rust": ("error: can't find Rust compiler\n", 1, "build-essential"),
    "emulation": ("exec /bin/sh: exec format error\n", 255, "binfmt"),
    "poetry": (
        "pyproject.toml changed significantly since poetry.lock was last generated. Run `poetry lock` to fix\n",
        1,
        "lock file",
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps(name):
    log, code, advice = STEPS[name]
    error = failed_step(log, code)
    assert isinstance(error, BuildError)
    assert error.message.startswith("app: layer 2, pip packages numpy: the command failed with exit code ")
    assert "uv pip install numpy" in error.message
    assert str(code) in error.message.splitlines()[0]
    for line in log.splitlines():
        assert line in error.message
    assert advice in (error.hint or ""), error.hint


def test_only_the_last_lines_are_shown():
    error = failed_step("".join(f"line {number}\n" for number in range(1000)))
    assert "line 999" in error.message
    assert len(error.message.splitlines()) == 16
    assert error.hint is None


def test_the_base_is_layer_0_and_is_called_by_its_name():
    error = failed_step("oh", number=1)
    assert error.message.startswith("app: from_debian_base 3.11: the command failed")


ENGINES = {
    "no buildx": (
        "unknown flag: --file\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]\n\nRun 'docker --help' for more\n"
        + "\n".join(f"  line {number} of the usage" for number in range(40)),
        125,
        BuilderUnavailableError,
        "buildx plugin",
        "unknown flag: --file",
    ),
    "no plugin": (
        "docker: 'buildx' is not a docker command.\nSee 'docker --help'\n",
        1,
        BuilderUnavailableError,
        "buildx plugin",
        "'buildx' is not a docker command",
    ),
    "old buildx": (
        "ERROR: invalid progress mode: rawjson\n",
        1,
        BuilderUnavailableError,
        "buildx plugin",
        "rawjson",
    ),
    "no daemon": (
        "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n",
        1,
        BuilderUnavailableError,
        "start Docker",
        "Cannot connect",
    ),
    "no rights": (
        (
            "ERROR: permission denied while trying to connect to the Docker daemon socket at unix:///x/docker.sock: "
            'Get "http://x": dial unix /var/run/docker.sock: connect: permission denied\n'
        ),
        1,
        BuilderUnavailableError,
        "start Docker",
        "permission denied",
    ),
    "old store": (
        "ERROR: OCI exporter is not supported for the docker driver.\nSwitch to a different driver\n",
        1,
        BuilderUnavailableError,
        "containerd image store",
        "OCI exporter",
    ),
    "no builder": ('ERROR: no builder "ci" found\n', 1, BuilderUnavailableError, "docker buildx ls", 'no builder "ci"'),
    "silence": ("", 1, BuildError, None, "ended with exit code 1 and said nothing"),
    "signal": ("", -9, BuildError, None, "killed by signal 9"),
    "unheard of": ("ERROR: something new\n", 1, BuildError, None, "something new"),
}


@pytest.mark.parametrize("name", ENGINES)
def test_engines(name):
    words, code, kind, advice, shown = ENGINES[name]
    error = failed_engine(words, code)
    assert type(error) is kind
    assert shown in error.message
    assert "of the usage" not in error.message
    assert (advice in (error.hint or "")) if advice else error.hint is None


BASES = {
    "absent": (
        "failed to resolve source metadata for docker.io/library/pyton:3.11: docker.io/library/pyton:3.11: not found",
        "base image's name",
    ),
    "denied": (
        (
            "failed to resolve source metadata for ghcr.io/x/y:1: pull access denied, repository does not exist or may "
            "require authorization: server message: insufficient_scope: authorization failed"
        ),
        "docker login",
    ),
    "unreachable": (
        (
            'failed to resolve source metadata for nowhere.invalid/x:1: failed to do request: Head "https://nowhere.inval'
            'id/v2/x/manifests/1": dial tcp: lookup nowhere.invalid: no such host'
        ),
        "reaches its registry",
    ),
    "platform": ("docker.io/library/x: no match for platform in manifest: not found", "no such platform"),
    "disk": ("failed to copy: write /data/x: no space left on device", "prune"),
}


@pytest.mark.parametrize("name", BASES)
def test_bases(name):
    reason, advice = BASES[name]
    error = failed_engine(f"ERROR: failed to solve: {reason}\n", vertex=reason)
    assert isinstance(error, BuildError)
    assert reason in error.message
    assert advice in (error.hint or "")
