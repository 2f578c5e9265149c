"""Layers on a real base, in a real registry, run by a real engine, beside an environment that uv made."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder.layers import (
    Compiler,
    InstallTarget,
    Layer,
    Plan,
    WheelFile,
    assemble,
    assemble_bytecode,
    entries_layer,
    write_skeleton,
)
from imagebuilder.layers.layer import TarEntry
from imagebuilder.registry import Client, OCILayout, push
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e
REGISTRY = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")
BASE = "library/python:3.11-slim-bookworm"
# Besides the usual stack: `.data` with scripts, headers and data; entry points; binaries; collisions; old metadata.
REQUIREMENTS = (
    "numpy",
    "pandas",
    "scikit-learn",
    "requests",
    "flask",
    "greenlet",
    "ipykernel",
    "jmespath",
    "ruff",
    "pip",
)
INSTALL = (
    "uv venv -q /opt/venv && uv pip install -q -p /opt/venv --offline --no-index --find-links /wheels --link-mode copy"
    f" {' '.join(REQUIREMENTS)} >&2"
)
TARGET = InstallTarget(interpreter="/usr/local/bin/python")
SITE = f"opt/venv/{TARGET.site_packages}"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
    command += ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    subprocess.run([*command, "-d", str(folder), *REQUIREMENTS], check=True)
    return folder


@pytest.fixture(scope="module")
def image(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = tmp_path_factory.mktemp("store")
    opened = [WheelFile(path) for path in sorted(wheels.glob("*.whl"))]
    skeleton = write_skeleton(TARGET, store)
    layers = assemble(opened, TARGET, store)
    compiler = Compiler(_interpreter(), store / "pyc")
    bytecode = assemble_bytecode(Plan.of(opened, TARGET), TARGET, store, compiler)
    source = entries_layer([TarEntry.file("app/main.py", b"print('main')\n")], store, what="source")
    ref = _push(store, [skeleton, *layers, *bytecode, source])
    yield ref
    subprocess.run(["docker", "image", "rm", ref], capture_output=True, check=False)


def _interpreter() -> str:
    found = shutil.which("/usr/bin/python3.11") or sys.executable
    if sys.version_info[:2] != (3, 11) and found == sys.executable:
        pytest.skip("there is no Python 3.11 here")
    return found


def _push(store: Path, layers: list[Layer]) -> str:
    """The layers on the base, by HTTP: the base's own are mounted."""
    layout = OCILayout(store)
    ref = Reference.parse(f"{REGISTRY}/layers-test:{uuid.uuid4().hex[:12]}")
    base = Reference.parse(f"{REGISTRY}/{BASE}")
    with Client() as client:
        manifest = client.manifest(base)
        if manifest.is_index:
            child = next(item for item in manifest.images if item.platform and item.platform.architecture == "amd64")
            manifest = client.manifest(base.with_digest(child.digest))
        assert manifest.config
        config: dict[str, Any] = json.loads(client.blob(base, manifest.config))
        config["rootfs"]["diff_ids"] += [layer.diff_id for layer in layers]
        config["history"] = [*config.get("history", []), *({"created_by": layer.what} for layer in layers)]
        config["config"]["Env"] = ["PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"]
        document = dict(manifest.document)
        written = layout.write(json.dumps(config).encode(), manifest.config.media_type)
        document["config"] = written.to_json()
        kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        docker = "docker" in manifest.media_type
        document["layers"] = [
            *document["layers"],
            *({**layer.descriptor.to_json(), **({"mediaType": kind} if docker else {})} for layer in layers),
        ]
        root = layout.write(json.dumps(document).encode(), manifest.media_type)
        pushed = push(client, layout, root, ref, mount_from=[BASE.partition(":")[0]])
        assert pushed.digest == root.digest
    return str(ref)


def docker(*arguments: str) -> bytes:
    done = subprocess.run(["docker", *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return done.stdout


def run(image: str, *command: str, mounts: tuple[str, ...] = ()) -> str:
    volumes = [part for mount in mounts for part in ("-v", mount)]
    return docker("run", "--rm", "--network", "none", *volumes, image, *command).decode()


@pytest.fixture(scope="module")
def uv() -> str:
    return f"{Path(shutil.which('uv') or pytest.skip('uv is not installed')).resolve()}:/usr/bin/uv:ro"


def test_imports_and_metadata(image: str) -> None:
    code = """
import importlib.metadata as m, json, sys, numpy, pandas, sklearn.linear_model, scipy.stats, flask, greenlet
model = sklearn.linear_model.LinearRegression().fit([[0.], [1.]], [0., 1.])
frame = pandas.DataFrame({"a": numpy.arange(3)})
json.dump([sys.prefix, sys.base_prefix, float(model.predict([[2.]])[0]), int(frame.a.sum()), numpy.__cached__,
  {d.metadata["Name"]: [d.version, len(d.files), all(f.locate().exists() for f in d.files)]
   for d in m.distributions(path=[numpy.__path__[0] + "/.."])}],
  sys.stdout)
"""
    prefix, base, predicted, total, cached, found = json.loads(run(image, "python", "-c", code))
    assert (prefix, base, round(predicted, 6), total) == ("/opt/venv", base, 2.0, 3)
    assert base in ("/usr", "/usr/local")
    assert cached.startswith(f"/{SITE}/numpy/__pycache__/")
    assert {"numpy", "pandas", "scikit-learn", "greenlet", "pip"} <= set(found)
    assert all(complete and count > 3 for _, count, complete in found.values())


@pytest.mark.parametrize(
    "command",
    [
        ("f2py", "-v"), ("flask", "--version"), ("jp.py", "--help"), ("ruff", "--version"), ("pip", "--version"),
        ("pip", "check"), ("python3", "-m", "pip", "list"), ("numpy-config", "--version"), ("python", "/app/main.py"),
        ("sh", "-c", ". /opt/venv/bin/activate && test $VIRTUAL_ENV = /opt/venv && deactivate && test -z $VIRTUAL_ENV"),
    ],
)  # fmt: skip
def test_commands(image: str, command: tuple[str, ...]) -> None:
    assert run(image, *command) is not None


def test_bytecode_is_used_and_right(image: str) -> None:
    # What Python would compile itself, by the interpreter of the image.
    code = """
import importlib.util, marshal, pathlib, sys
bad = 0; seen = 0
for path in pathlib.Path(sys.argv[1]).rglob("*.pyc"):
    source = pathlib.Path(importlib.util.source_from_cache(str(path)))
    data, text = path.read_bytes(), source.read_bytes()
    seen += 1
    bad += data[:16] != importlib.util.MAGIC_NUMBER + b"\\1\\0\\0\\0" + importlib.util.source_hash(text)
    bad += marshal.loads(data[16:]).co_filename != str(source)
print(seen, bad)
"""
    seen, bad = run(image, "python", "-c", code, f"/{SITE}").split()
    assert int(seen) > 3000
    assert bad == "0"
    compiled = "python -v -c 'import pandas' 2>&1 | grep -c 'code object from /opt' || true"
    assert run(image, "sh", "-c", compiled).strip() == "0"


def test_uv_takes_it_for_an_environment(image: str, uv: str) -> None:
    command = "uv pip check -p /opt/venv 2>&1 && uv pip list -p /opt/venv && uv pip freeze -p /opt/venv"
    assert "numpy" in run(image, "sh", "-c", command, mounts=(uv,))


def test_uninstalling_leaves_nothing(image: str, uv: str) -> None:
    command = (
        "uv pip freeze -p /opt/venv > /tmp/all && uv pip uninstall -q -p /opt/venv -r /tmp/all && "
        "find /opt/venv -type f -not -name '*.pyc'; find /opt/venv/bin"
    )
    left = set(run(image, "sh", "-c", command, mounts=(uv,)).split())
    names = ("pyvenv.cfg", "bin", "bin/activate", "bin/python", "bin/python3", "bin/python3.11", ".lock")
    assert left <= {f"/opt/venv/{name}" for name in names}


def tree(archive: bytes) -> Iterator[tuple[str, tuple[Any, ...]]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            what = hashlib.sha256(content.read()).hexdigest() if content else member.linkname
            yield member.name, (member.type, member.mode, member.uid, member.gid, what)


def test_the_same_files_as_uv_installs(image: str, wheels: Path, uv: str) -> None:
    install = f"{INSTALL} && tar c -C / opt/venv"
    volumes = ["-v", uv, "-v", f"{wheels}:/wheels:ro"]
    base = f"{REGISTRY}/{BASE}"
    theirs = dict(tree(docker("run", "--rm", "--network", "none", *volumes, base, "sh", "-c", install)))
    ours = dict(tree(docker("run", "--rm", "--network", "none", image, "tar", "c", "-C", "/", "opt/venv")))
    made = {path for path in ours if "/__pycache__" in path and path not in theirs}
    # Documented: bytecode; uv's own notes; activation for other shells than POSIX's.
    assert set(ours) - set(theirs) == made
    missing = {path for path in set(theirs) - set(ours) if not path.endswith("/uv_cache.json")}
    assert {path for path in missing if not path.startswith("opt/venv/bin/")} <= {
        "opt/venv/.gitignore", "opt/venv/.lock", "opt/venv/CACHEDIR.TAG",
    }  # fmt: skip
    assert {path.rpartition("/")[2].partition(".")[0] for path in missing if path.startswith("opt/venv/bin/")} <= {
        "activate", "activate_this", "deactivate", "pydoc",
    }  # fmt: skip
    # Documented: who installed it is told in INSTALLER and so in RECORD; the environment's own texts.
    different = {path for path in ours.keys() & theirs.keys() if ours[path] != theirs[path]}
    assert {path.rpartition("/")[2] for path in different} <= {"INSTALLER", "RECORD", "pyvenv.cfg", "activate"}
    assert {ours[path][:4] for path in different} == {theirs[path][:4] for path in different}


def test_records_differ_only_where_documented(image: str, wheels: Path, uv: str) -> None:
    show = "cat /opt/venv/lib/python3.11/site-packages/*.dist-info/RECORD | sort"
    install = f"{INSTALL} && {show}"
    theirs = set(run(f"{REGISTRY}/{BASE}", "sh", "-c", install, mounts=(uv, f"{wheels}:/wheels:ro")).splitlines())
    ours = set(run(image, "sh", "-c", show).splitlines())
    assert {line.partition(",")[0].rpartition("/")[2] for line in ours ^ theirs} <= {"INSTALLER", "uv_cache.json"}


def test_other_tools_take_it(image: str, tmp_path: Path) -> None:
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed")
    command = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{image}", f"dir:{tmp_path}/image"]
    subprocess.run(command, check=True)
