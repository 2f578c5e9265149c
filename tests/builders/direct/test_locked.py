"""Locked images: what is pinned is what is built, and the same bytes whatever machine builds."""

from __future__ import annotations

import gettext
import os
import shutil
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct import interpreters, python
from imagebuilder.builders.direct.pinning import Pinner
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.deploy.rebase import rebase_image
from imagebuilder.engine import Options
from imagebuilder.errors import ConfigError, LockError
from imagebuilder.lock.locks import Held, Locks
from imagebuilder.lock.pins import FORM
from imagebuilder.locking import Upgrade, Wanted, lock
from imagebuilder.outputs.output import Push
from imagebuilder.sources.material import Material, Text

from .bases import DEBIAN, Bench

if TYPE_CHECKING:
    from imagebuilder.lock.pins import ImageLock
    from imagebuilder.plan.sdk import SdkFor

SITE = "opt/venv/lib/python3.11/site-packages"
ENV = ["PATH=/usr/bin:/bin"]
NOTHING = Upgrade()


@dataclass
class Locker:
    """Locks and builds on a bench."""

    bench: Bench

    def lock(self, image: Image, entry: ImageLock | None = None, upgrade: Upgrade = NOTHING) -> ImageLock:
        engine = self.bench.engine()
        pinner = Pinner(self.bench.folder / "cache", self.bench.client, dict(os.environ))
        item = engine.resolver.identify([("app", image)])[0]
        return lock(engine, pinner, [Wanted(item, "spec.py", "app", entry)], upgrade, self.bench.events.append)[0]

    def build(self, image: Image, entry: ImageLock, *, required: bool = True, **options: Any) -> str | None:
        locks = Locks({"app": Held(Path("imagebuilder.lock"), (entry,))}, required=required)
        engine = self.bench.engine(self.bench.auto())
        engine = replace(engine, resolver=replace(engine.resolver, locks=locks))
        image = image.clone(name="app", registry=self.bench.registry.host)
        (result,) = engine.ensure(
            [("app", image)], Push(self.bench.client), Options(**options), self.bench.events.append
        )
        self.uri = result.uri
        return result.digest

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.bench.events if isinstance(event, Warning)]


@pytest.fixture
def locker(bench: Bench) -> Locker:
    return Locker(bench)


def test_a_base_that_moves_on_is_not_followed(locker: Locker, bench: Any, code: Path) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_source_folder(code, "/code")
    entry = locker.lock(image)
    first = locker.build(image, entry)
    bench.base({**DEBIAN, "etc/new": "new\n"}, Env=ENV)
    assert locker.build(image, entry, force=True) == first
    assert locker.lock(image, entry) == entry
    newer = locker.lock(image, entry, Upgrade(base=True))
    assert newer.digest != entry.digest
    locker.build(image, newer)
    assert "etc/new" in bench.read(locker.uri).tree


def test_a_rebase_has_no_identifier_since_the_lock_pins_the_base(locker: Locker, bench: Any, code: Path) -> None:
    base = bench.base(DEBIAN, Env=ENV)
    image = Image.from_base(base).with_source_folder(code, "/code")
    locker.build(image, locker.lock(image))
    bench.base({**DEBIAN, "etc/new": "new\n"}, Env=ENV)
    with pytest.raises(ConfigError, match="its lock pins its base") as caught:
        rebase_image(bench.client, bench.direct(), locker.uri, base)
    assert "imagebuild lock" in (caught.value.hint or "")
    moved = rebase_image(bench.client, bench.direct(), locker.uri, base, to=f"{bench.registry.host}/app:newer")
    made = bench.read(moved.uri)
    assert "etc/new" in made.tree
    assert not [label for label in made.run.get("Labels") or {} if label.startswith("io.imagebuilder.")]


def test_packages_are_those_of_the_lock_and_nobody_resolves(
    locker: Locker, bench: Any, make_wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo"), make_wheel("other"))
    entry = locker.lock(image)
    assert [one.table["name"] for one in entry.platforms[0].packages] == ["demo", "other"]
    monkeypatch.setattr(python, "Uv", NoUv)
    locker.build(image, entry)
    made = bench.read(locker.uri)
    assert {f"{SITE}/demo/__init__.py", f"{SITE}/other/__init__.py"} <= made.tree.keys()
    assert made.run["Labels"]["io.imagebuilder.lock"] == entry.pins(image.platforms).digest
    assert locker.warnings == []


class NoUv:
    def __init__(self, _environ: Any, site: Any, **_: Any) -> None:
        self.site = site

    def run(self, *_: Any, **__: Any) -> None:
        raise AssertionError("uv was asked")


def test_a_stale_lock_is_not_used_and_a_required_one_fails(locker: Locker, bench: Any, make_wheel: Any) -> None:
    base = Image.from_base(bench.base(DEBIAN, Env=ENV))
    entry = locker.lock(base.with_wheels(make_wheel("demo")))
    moved = base.with_wheels(make_wheel("demo")).with_wheels(make_wheel("other"))
    with pytest.raises(LockError, match=r"app: imagebuilder\.lock is stale:\n  layer 2, wheels .*: added"):
        locker.build(moved, entry)
    locker.build(moved, entry, required=False)
    (message,) = locker.warnings
    assert message.startswith("its lock is stale and is not used: layer 2, wheels")
    assert "io.imagebuilder.lock" not in bench.read(locker.uri).run["Labels"]


def test_what_was_locked_stays_where_it_can(locker: Locker, bench: Any, make_wheel: Any, tmp_path: Path) -> None:
    """Wheels of several versions in a folder that uv looks into, as an index would have them."""
    for version in ("1.0", "2.0"):
        make_wheel("demo", version)
    make_wheel("user", requires=("demo",))
    folder = tmp_path / "wheels"

    def image(*packages: str) -> Image:
        links = [str(path) for path in sorted(folder.iterdir())]
        return Image.from_base(base).with_wheels(*[link for link in links if "user" in link or link.endswith(packages)])

    base = bench.base(DEBIAN, Env=ENV)
    first = locker.lock(image("demo-1.0-py3-none-any.whl"))
    assert first.versions("linux/amd64") == {"demo": "1.0", "user": "1.0"}
    second = locker.lock(image("demo-2.0-py3-none-any.whl"), first)
    assert second.versions("linux/amd64") == {"demo": "2.0", "user": "1.0"}
    assert first.digest == second.digest


def test_the_interpreter_that_the_lock_names_compiles(
    locker: Locker, bench: Any, make_wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo"))
    entry = locker.lock(image)
    assert entry.platforms[0].bytecode.startswith("3.11.")
    other = replace(entry, platforms=(replace(entry.platforms[0], bytecode="3.11.0"),))
    monkeypatch.setattr(interpreters, "_kept", lambda *_: iter(()))
    monkeypatch.setattr(interpreters, "_on_path", lambda *_: iter(()))
    with pytest.raises(LockError, match=r"its lock has bytecode of Python 3\.11\.0, which is not on this machine"):
        locker.build(image, other)
    none = replace(entry, platforms=(replace(entry.platforms[0], bytecode=""),))
    locker.build(image, none)
    assert not [path for path in bench.read(locker.uri).tree if path.endswith(".pyc")]


def test_the_interpreter_that_the_lock_names_compiles_the_task_sdk(locker: Locker, bench: Any) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_sdk(python_version="3.11").clone(name="app")
    asked: list[SdkFor] = []

    def sdks(wanted: SdkFor) -> Material:
        asked.append(wanted)
        return Material((("lib/sdk.py", Text(b"")),))

    engine = replace(bench.engine(bench.auto()), sdks=sdks)
    pinner = Pinner(bench.folder / "cache", bench.client, dict(os.environ))
    item = engine.resolver.identify([("app", image)])[0]
    (entry,) = lock(engine, pinner, [Wanted(item, "spec.py", "app")], NOTHING, bench.events.append)
    version = entry.platforms[0].bytecode
    assert version.startswith("3.11.")
    held = Locks({"app": Held(Path("imagebuilder.lock"), (entry,))}, required=True)
    engine.plan(replace(engine.resolver, locks=held).identify([("app", image)])[0])
    assert [one.bytecode for one in asked] == [None, version, version]
    # Its files are pinned, and so is its version.
    assert [one.digest for one in asked] == ["", "", entry.sdk]
    assert entry.sdk.startswith("sha256:")
    assert entry.pins(image.platforms).digest != replace(entry, sdk="").pins(image.platforms).digest
    other = engine.resolver.identify([("app", image.replace(layers=()).with_workdir("/x"))])[0]
    assert Wanted(other, "spec.py", "app", entry).moved(engine) == ["task SDK 0.1.0: removed"]


def test_a_spec_that_needs_an_installer_has_its_base_pinned(locker: Locker, bench: Any, make_wheel: Any) -> None:
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo"), extra_args="--no-binary x")
    entry = locker.lock(image)
    assert (entry.platforms[0].packages, bool(entry.platforms[0].unpinned)) == ((), True)
    (message,) = locker.warnings
    assert "its packages for linux/amd64 are not pinned, its base alone is: layer 1" in message


def test_a_prefix_has_a_lock_of_its_own_part(locker: Locker, bench: Any, make_wheel: Any) -> None:
    """The part that must run: another base is another prefix, other packages above it are not."""
    image = Image.from_base(bench.base(DEBIAN, Env=ENV)).with_apt_packages("git").with_wheels(make_wheel("demo"))
    engine = bench.engine(bench.auto())
    entry = locker.lock(image)

    def prefix(entry: ImageLock) -> str:
        locks = Locks({"app": Held(Path("lock"), (entry,))}, required=True)
        item = replace(engine.resolver, locks=locks).identify([("app", image.clone(registry=bench.registry.host))])[0]
        plan = engine.plan(item)
        found = engine.prefix(item, plan, Push(bench.client))
        assert found is not None
        assert found.plan.base.endswith(entry.digest)
        return found.identifier

    one = entry.platforms[0]
    assert prefix(entry) == prefix(replace(entry, platforms=(replace(one, packages=(), bytecode=""),)))
    assert prefix(entry) != prefix(replace(entry, platforms=(replace(one, base=f"sha256:{'1' * 64}"),)))


def test_the_same_bytes_on_another_machine(
    locker: Locker, bench: Bench, make_wheel: Any, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another checkout, home, cache, temporary folder, time zone, language, umask; and a zlib that cannot compress."""
    wheels = [make_wheel("demo"), make_wheel("other", requires=("demo",))]
    base = bench.base(DEBIAN, Env=ENV)

    def image(code: Path, wheels: list[Path]) -> Image:
        made = Image.from_base(base).with_wheels(*wheels).with_source_folder(code, "/app/code")
        return made.with_user("somebody").with_env_vars({"A": "b"}).with_entrypoint("demo")

    entry = locker.lock(image(code, wheels))
    assert entry.platforms[0].bytecode
    first = locker.build(image(code, wheels), entry)
    there = tmp_path / "another" / "place"
    shutil.copytree(code, there / "code", symlinks=True)
    (there / "wheels").mkdir()
    for path in reversed(wheels):
        shutil.copy(path, there / "wheels")
    for path in sorted(there.rglob("*"), reverse=True):
        os.utime(path, (1, 1), follow_symlinks=False)
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        (there / name).mkdir()
        monkeypatch.setenv(name, str(there / name))
    monkeypatch.setattr("tempfile.tempdir", str(there / "TMPDIR"))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    monkeypatch.setenv("LANGUAGE", "tr")
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    time.tzset()
    monkeypatch.setattr(gettext, "_translations", {})
    monkeypatch.setattr(zlib, "compressobj", _cannot_compress)
    monkeypatch.setattr(zlib, "compress", _cannot_compress)
    monkeypatch.chdir(there)
    other = Locker(replace(bench, folder=there))
    before = os.umask(0o077)
    try:
        again = other.build(image(there / "code", [there / "wheels" / path.name for path in wheels]), entry, force=True)
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert again == first is not None


def _cannot_compress(*_: Any, **__: Any) -> None:
    raise AssertionError("what zlib writes depends on who built it")


def test_the_form_of_assembled_images(
    bench: Bench, make_wheel: Any, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where these digests change, raise `FORM` in `imagebuilder/lock/pins.py`: locks of before are then stale."""
    monkeypatch.setattr(interpreters, "interpreter_for", lambda *_: None)
    bench.base(DEBIAN, name="library/base", Env=ENV)
    image = (
        Image.from_base("base:1").with_wheels(make_wheel("demo"), make_wheel("other")).with_source_folder(code, "/code")
    )
    made = bench.build(image.with_user("somebody").with_entrypoint("demo"))
    own = [layer["digest"] for layer in made.manifest["layers"][1:]]
    assert FORM == 3
    assert [made.manifest["config"]["digest"], *own] == [
        "sha256:90eb7a571615aa95ea818253260327c128f949e384c35dbcea468ca53b32d1a2",
        "sha256:cb4b4668d52c064e3459e6ea1f25a28a44ab59a4156ccec9372c1b18c5d4f1a2",
        "sha256:dd9ad9661c968e5d50ecf62ab4e94d5d5b7ec456a54418c8f1d6391e475d6bca",
        "sha256:075767b18f4319e5e175e07fa3e7b226e3e69d0a974ee0a2c3e9d3909d3561d8",
        "sha256:618b8ab97c16797216d88454a15ffcbdfdf38cba21db515c584bc298bc7b6ee8",
        "sha256:0c1a920d57edd12c4842c5fd669347c433e3d459699003bc1b8f9c3f48dd666a",
    ]
