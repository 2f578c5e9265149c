"""Images on other bases: the same digest as a build there, or a reason why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct.record import ASSEMBLY, BASE_DIGEST, BASE_NAME, Record
from imagebuilder.deploy.rebase import Rebased, rebase_image
from imagebuilder.errors import BuildError, ConfigError, RegistryError
from imagebuilder.identity.labels import IDENTIFIER
from imagebuilder.registry import push
from imagebuilder.registry.store import MemoryStore
from imagebuilder.sources.material import Material, Text
from imagebuilder.spec.reference import Reference

from . import bases
from .bases import DEBIAN, DPKG, PASSWD

if TYPE_CHECKING:
    from pathlib import Path

PATCHED = DPKG.replace("3.11.2", "3.11.9").replace("2.36-9", "2.36-12")


def newer(**files: Any) -> dict[str, Any]:
    """A base of the same kind: Python has a later patch level, and there is a user more."""
    return {
        **DEBIAN,
        "etc/passwd": PASSWD + "new:x:999:999::/:/bin/sh\n",
        "etc/skel/.profile": "another profile\n",
        "var/lib/dpkg/status": PATCHED,
        "usr/share/": None,
        **files,
    }


def built(bench: Any, image: Image) -> tuple[str, str]:
    """Where an image was pushed, and its digest."""
    image = image.clone(name=image.name or "app", registry=bench.registry.host)
    made = bench.build(image)
    uri = f"{bench.registry.host}/{image.name}:{made.run['Labels'][IDENTIFIER]}"
    return uri, made.digest


def moved(bench: Any, uri: str, base: str, **options: Any) -> Rebased:
    return rebase_image(bench.client, bench.direct(), uri, base, **options)


def recipes(code: Path, wheel: Path) -> dict[str, Any]:
    return {
        "all": lambda base: (
            Image.from_base(base)
            .with_wheels(wheel)
            .with_user("ann", 1234)
            .with_source_folder(code, "/srv/code")
            .with_workdir("/srv/code/deep/new")
            .with_source_file(code / "main.py", "/etc/main.py")
            .with_source_file(code / "main.py", "relative.py")
            .with_env_vars({"A": "1", "LANG": "ours"})
            .with_labels({"team": "x"})
            .with_entrypoint("python", "main.py")
        ),
        "nothing": lambda base: Image.from_base(base).with_env_vars({"A": "1"}),
        "wheels": lambda base: Image.from_base(base).with_wheels(wheel),
        "links": lambda base: Image.from_base(base).with_source_file(code / "main.py", "/lib/x.py"),
        "made before": lambda base: (
            Image.from_base(base)
            .with_source_folder(code, "/home/ann/code")
            .with_user("ann")
            .with_workdir("/home/ann/code")
        ),
        "workdir of a user": lambda base: Image.from_base(base).with_user("ann").with_workdir("/work/deep"),
    }


OLD = {"Env": ["PATH=/usr/bin:/bin", "LANG=old", "GONE=1"], "WorkingDir": "/tmp", "Cmd": ["old"], "User": "nobody"}
NEW = {
    "Env": ["PATH=/usr/sbin:/usr/bin", "LANG=new", "MORE=1"],
    "WorkingDir": "/tmp",
    "Cmd": ["new"],
    "Labels": {"b": "2"},
}


@pytest.mark.parametrize("recipe", ["all", "nothing", "wheels", "links", "made before", "workdir of a user"])
def test_the_digest_is_that_of_a_build_on_the_new_base(bench: Any, code: Path, make_wheel: Any, recipe: str) -> None:
    make = recipes(code, make_wheel("demo"))[recipe]
    old = bench.base(DEBIAN, **OLD)
    new = bench.base(newer(), {"added": "x"}, name="newer", **NEW)
    uri, before = built(bench, make(old))
    bench.registry.seen.clear()
    result = moved(bench, uri, new)
    uploaded = {unquote(seen.path).partition("digest=")[2] for seen in bench.registry.requests("PUT", "/blobs/")}
    expected_uri, expected = built(bench, make(new))
    assert (result.digest, result.uri) == (expected, expected_uri)
    assert (result.old_digest, result.changed) == (before, True)
    assert "" not in uploaded
    assert not uploaded & {layer.digest for layer in bench.client.manifest(Reference.parse(uri)).layers}
    assert bench.read(uri).digest == before


def test_a_tag_that_moved(bench: Any, code: Path) -> None:
    """The spec is the same, and so is its identifier: its tag moves with the base."""
    base = bench.base(DEBIAN)
    image = Image.from_base(base).with_source_folder(code, "/srv/code")
    uri, before = built(bench, image)
    assert not moved(bench, uri, base).changed
    bench.base(newer())
    result = moved(bench, uri, base)
    assert (result.uri, result.pushed, result.changed) == (uri, True, True)
    assert bench.read(uri).digest == result.digest != before
    assert built(bench, image) == (uri, result.digest)
    again = moved(bench, uri, base)
    assert (again.pushed, again.digest, again.bytes_uploaded) == (False, result.digest, 0)


def test_a_debian_base_stays_what_the_epoch_says(bench: Any, code: Path) -> None:
    def publish(files: dict[str, Any]) -> None:
        bench.base(files, name="library/python", Env=["PATH=/usr/bin"])
        tags = bench.registry.contents.repository("library/python").tags
        tags["3.11-slim-bookworm"] = tags["1"]

    publish(DEBIAN)
    image = Image.from_debian_base("3.11", install_sdk=False).with_source_folder(code, "/app/code")
    uri, _ = built(bench, image)
    publish(newer())
    result = moved(bench, uri, "python:3.11-slim-bookworm")
    assert result.uri == uri
    assert (result.platforms[0].kept, result.platforms[0].remade) == (2, 2)
    made = bench.read(uri)
    assert b"version_info = 3.11.9\n" in made.content["opt/venv/pyvenv.cfg"]
    assert made.content["etc/passwd"].decode().startswith(PASSWD + "new:")
    assert made.content["home/app/.profile"] == b"another profile\n"
    assert built(bench, image) == (uri, result.digest)
    digest = bench.client.resolve(Reference.parse(f"{bench.registry.host}/library/python:1")).digest
    assert moved(bench, uri, f"python:3.11-slim-bookworm@{digest}").digest == result.digest
    other = bench.base(newer(), name="other")
    with pytest.raises(ConfigError, match=r"no identifier on another base: its spec means python:3\.11") as caught:
        moved(bench, uri, other)
    assert "--to" in (caught.value.hint or "")
    with pytest.raises(ConfigError, match="cannot name it on another base"):
        moved(bench, uri, other, to=uri)
    elsewhere = moved(bench, uri, other, to=f"{bench.registry.host}/app:mine")
    assert elsewhere.identifier is None
    assert IDENTIFIER not in bench.read(elsewhere.uri).run.get("Labels", {})
    assert bench.read(uri).digest == result.digest


def test_the_task_sdk_is_for_one_python(bench: Any, code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing else is installed: its files lie below one Python's folder."""
    files = Material((("lib/python3.11/site-packages/_tasksdk/tasksdk.py", Text(b"")),))
    monkeypatch.setattr(bases, "no_sdk", lambda _wanted: files)

    def publish(entries: dict[str, Any]) -> None:
        bench.base(entries, name="library/python", Env=["PATH=/usr/bin"])
        tags = bench.registry.contents.repository("library/python").tags
        tags["3.11-slim-bookworm"] = tags["1"]

    publish(DEBIAN)
    image = Image.from_debian_base("3.11", install_sdk=True).with_source_folder(code, "/app/code")
    uri, before = built(bench, image)
    other = bench.base(newer(**{"usr/bin/python3.12": b"\x7fELF", "usr/bin/python3": "-> python3.12"}), name="other")
    with pytest.raises(BuildError, match=r"its task SDK is for Python 3\.11, and the new base has Python 3\.12"):
        moved(bench, uri, other, to=f"{bench.registry.host}/app:mine")
    assert "mine" not in bench.registry.contents.repository("app").tags
    assert bench.read(uri).digest == before
    publish(newer())
    result = moved(bench, uri, "python:3.11-slim-bookworm")
    assert built(bench, image) == (uri, result.digest)


def test_several_platforms(bench: Any, code: Path) -> None:
    def index(files: dict[str, Any], name: str) -> str:
        one = bench.base(files, name=f"{name}-amd64")
        two = bench.base({**files, "arm/": None}, name=f"{name}-arm64", platform="arm64")
        return bench.index(one, two, name=name)

    old, new = index(DEBIAN, "old"), index(newer(), "new")

    def image(base: str) -> Image:
        made = Image.from_base(base, platform=["linux/amd64", "linux/arm64"])
        return made.with_source_folder(code, "/srv/code")

    uri, _ = built(bench, image(old))
    result = moved(bench, uri, new)
    assert [one.platform for one in result.platforms] == ["linux/amd64", "linux/arm64"]
    assert (result.uri, result.digest) == built(bench, image(new))
    single = bench.base(newer(), name="single")
    with pytest.raises(BuildError, match="has no linux/arm64"):
        moved(bench, uri, single)


def test_a_dry_run_pushes_nothing(bench: Any, code: Path) -> None:
    old, new = bench.base(DEBIAN), bench.base(newer(), name="newer")
    uri, _ = built(bench, Image.from_base(old).with_source_folder(code, "/srv/code"))
    bench.registry.seen.clear()
    result = moved(bench, uri, new, dry_run=True)
    assert {seen.method for seen in bench.registry.seen} <= {"GET", "HEAD"}
    assert not result.pushed
    assert moved(bench, uri, new).digest == result.digest


def test_another_registry_gets_all_it_lacks(bench: Any, code: Path) -> None:
    from imagebuilder.registry.memory.server import MemoryRegistry

    old, new = bench.base(DEBIAN), bench.base(newer(), name="newer")
    uri, _ = built(bench, Image.from_base(old).with_source_folder(code, "/srv/code"))
    with MemoryRegistry() as other:
        result = moved(bench, uri, new, to=f"{other.host}/app")
        assert result.uri == f"{other.host}/app:{result.identifier}"
        assert bench.read(result.uri).digest == result.digest


def test_the_base_is_named_in_the_standard_annotations(bench: Any, make_wheel: Any) -> None:
    base = bench.base(DEBIAN)
    made = bench.build(Image.from_base(base).with_env_vars({"A": "1"}).with_wheels(make_wheel("demo")))
    digest = bench.client.resolve(Reference.parse(base)).digest
    said = made.manifest["annotations"]
    assert (said[BASE_NAME], said[BASE_DIGEST]) == (base, digest)
    assert Record.parse(said[ASSEMBLY]).to_json() == said[ASSEMBLY]
    assert "demo" not in said[ASSEMBLY]  # nothing of what was asked for: it may have a credential in it


MISFITS = {
    "python": (
        newer(**{"usr/bin/python3.12": b"\x7fELF", "usr/bin/python3": "-> python3.12"}),
        "Python 3.11.*has Python 3.12",
    ),
    "older libc": (newer(**{"var/lib/dpkg/status": DPKG.replace("2.36", "2.31")}), "glibc 2.36.*glibc 2.31"),
    "musl": (newer(**{"usr/lib/apk/db/installed": "P:musl\nV:1.2.5\n"}), "glibc 2.36.*musl 1.2"),
    "no python": (newer(**{"usr/bin/python3": "text"}), "Python"),
    "mode": (newer(**{"tmp/": (0o700, 0, 0)}), "/tmp of the new base is not what it was"),
    "link": (newer(**{"tmp/": None, "srv": "-> tmp"}), "/srv of the new base is not what it was|/tmp"),
    "there": (newer(**{"srv/": None, "srv/code/": None}), "/srv of the new base is not what it was"),
    "uid": (newer(**{"etc/passwd": PASSWD + "other:x:1000:1000::/:/bin/sh\n"}), "files of its user ann"),
    "packages": (
        newer(**{"opt/venv/bin/": None, "opt/venv/lib/python3.11/site-packages/idna-3.0.dist-info/": None}),
        "other Python packages",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_bases_that_do_not_fit(bench: Any, code: Path, make_wheel: Any, case: str) -> None:
    files, why = MISFITS[case]
    old = bench.base(DEBIAN)
    new = bench.base(files, name="newer")
    image = (
        Image.from_base(old)
        .with_wheels(make_wheel("demo"))
        .with_user("ann")
        .with_source_folder(code, "/srv/code")
        .with_source_file(code / "main.py", "/tmp/main.py")
    )
    uri, before = built(bench, image)
    tags = dict(bench.registry.contents.repository("app").tags)
    with pytest.raises(BuildError, match=f"does not fit on .*: .*({why})") as caught:
        moved(bench, uri, new)
    assert caught.value.hint
    assert bench.registry.contents.repository("app").tags == tags
    assert bench.read(uri).digest == before


def test_other_settings_that_do_not_fit(bench: Any, code: Path) -> None:
    old = bench.base(DEBIAN, WorkingDir="/srv")
    uri, _ = built(bench, Image.from_base(old).with_source_file(code / "main.py", "x.py"))
    with pytest.raises(BuildError, match=r"at /srv/x\.py, and on the new base they would be at /tmp/x\.py"):
        moved(bench, uri, bench.base(newer(), name="newer", WorkingDir="/tmp"))
    there = bench.base({**DEBIAN, "data/": None}, name="there")
    uses, _ = built(bench, Image.from_base(there).with_workdir("/data").clone(name="uses"))
    with pytest.raises(BuildError, match="/data of the new base is not what it was"):
        moved(bench, uses, bench.base(newer(), name="lacks"))
    with pytest.raises(BuildError, match="ONBUILD"):
        moved(bench, uri, bench.base(newer(), name="triggers", WorkingDir="/srv", OnBuild=["RUN true"]))
    with pytest.raises(RegistryError):
        moved(bench, uri, f"{bench.registry.host}/nothing:1")


def test_images_that_were_not_assembled(bench: Any, code: Path) -> None:
    base = bench.base(DEBIAN)
    with pytest.raises(BuildError, match="imagebuild did not make it"):
        moved(bench, base, base)
    by_steps = bench.base(DEBIAN, name="steps", Labels={IDENTIFIER: "x"})
    with pytest.raises(BuildError, match="run by BuildKit"):
        moved(bench, by_steps, base)
    with pytest.raises(RegistryError, match="does not exist"):
        moved(bench, f"{bench.registry.host}/nothing:1", base)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda record: {**record, "version": 2}, "version 2"),
        (lambda record: {**record, "steps": [[1, "fly"]]}, "broken"),
        (lambda record: {**record, "laid": []}, "not those that its record tells of"),
        (lambda record: {**record, "laid": [*record["laid"], {"count": 1}]}, "not those that its record tells of"),
        (lambda record: [], "broken"),
    ],
)
def test_a_record_that_lies(bench: Any, code: Path, change: Any, why: str) -> None:
    base = bench.base(DEBIAN)
    uri, _ = built(bench, Image.from_base(base).with_source_folder(code, "/srv/code"))
    reference = Reference.parse(uri)
    manifest = bench.client.manifest(reference)
    document = json.loads(manifest.raw)
    document["annotations"][ASSEMBLY] = json.dumps(change(json.loads(document["annotations"][ASSEMBLY])))
    store = MemoryStore()
    for blob in manifest.blobs:
        store.add(bench.client.blob(reference, blob), blob.media_type)
    push(bench.client, store, store.add(json.dumps(document).encode(), manifest.media_type), reference.with_tag("lies"))
    with pytest.raises(BuildError, match=why):
        moved(bench, f"{reference.name}:lies", base)
