"""Locked images: the same digest from two clones on two machines, derived anew, and held to by BuildKit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Forge

SPEC = """
from imagebuilder import Image

_base = Image.from_debian_base("3.11", registry="{registry}")
app = (
    _base.clone(name="{name}-app")
    .with_pip_packages("click<8.2", "zope.interface==7.2")
    .with_source_folder("code", "/app/code")
    .with_entrypoint("python", "/app/code/main.py")
)
steps = _base.clone(name="{name}-steps").with_apt_packages("tree").with_pip_packages("click<8.2")
run = _base.clone(name="{name}-run").with_pip_packages("click<8.2").with_commands(["python -c 'import click'"])
_tooled = _base.with_commands(["cp /bin/true /usr/local/bin/needed"])
tool = _tooled.clone(name="{name}-tool").with_requirements("old.txt")
bare = _base.clone(name="{name}-bare").with_requirements("old.txt")
built = _base.clone(name="{name}-built").with_pip_packages("docopt==0.6.2", "click<8.2")
"""

# What it needs is told by a build alone, which takes a program that the base lacks.
OLD = """
import subprocess
subprocess.run(["/usr/local/bin/needed"], check=True)
from setuptools import setup
setup(name="old-style", version="1.5", install_requires=["idna==3.10"])
"""


class Clone:
    """A checkout on a machine: its folder, and all that a process sees of where it runs."""

    def __init__(self, forge: Forge, folder: Path, umask: int = 0o022, **environ: str) -> None:
        self.folder, self.umask = folder, umask
        (folder / "code").mkdir(parents=True)
        (folder / "code" / "main.py").write_text("import click\nprint(click.__version__)\n")
        (folder / "old").mkdir()
        (folder / "old" / "setup.py").write_text(OLD)
        (folder / "old.txt").write_text("./old\n")
        (folder / "spec.py").write_text(SPEC.format(registry=forge.registry, name=forge.name("lock")))
        self.environ = {**forge.environ, **environ}

    def run(self, *args: str, code: int = 0) -> Any:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("imagebuild")), *args],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            umask=self.umask,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if "--json" in args else done.stdout + done.stderr

    def build(self, name: str, *options: str) -> dict[str, Any]:
        words = ("build", "spec.py", "--name", name, "--locked", "--force", "--json", *options)
        made: dict[str, Any] = self.run(*words)["images"][0]
        return made


@pytest.fixture(scope="module")
def here(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(forge, tmp_path_factory.mktemp("here"))
    words = [word for name in ("app", "steps", "run", "built", "tool") for word in ("--name", name)]
    made.run("lock", "spec.py", *words)
    return made


@pytest.fixture(scope="module")
def there(forge: Forge, here: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Another machine, which has nothing and does everything otherwise; the engine alone is shared."""
    place = tmp_path_factory.mktemp("there") / "deep" / "er"
    environ = {
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "5",
        "PYTHONUTF8": "1",
        "UV_CACHE_DIR": str(place / "uv"),
        "IMAGEBUILDER_CACHE_DIR": str(place / "cache"),
        "IMAGEBUILDER_PARALLEL": "1",
    }
    made = Clone(forge, place / "clone", 0o077, **environ)
    (place / "tmp").mkdir()
    made.environ["TMPDIR"] = str(place / "tmp")
    shutil.copy(here.folder / "imagebuilder.lock", made.folder)
    for path in (made.folder / "code", made.folder / "code" / "main.py"):
        os.utime(path, (1, 1))
    return made


def test_two_machines_print_one_digest(here: Clone, there: Clone, forge: Forge) -> None:
    one, other = here.build("app"), there.build("app")
    assert one["digest"] == other["digest"]
    assert one["uri"] == other["uri"]
    assert forge.run(one["uri"]).startswith("8.1.")


def test_it_is_derived_anew(here: Clone, there: Clone) -> None:
    made = here.build("app")
    assert there.run("verify", made["uri"], "--json")["same"]
    (there.folder / "code" / "main.py").write_text("other\n")
    try:
        found = there.run("verify", made["uri"], "spec.py:app", "--json", code=1)
    finally:
        (there.folder / "code" / "main.py").write_text("import click\nprint(click.__version__)\n")
    assert found["differences"] == ["layer 2, source folder: main.py changed"]


def test_what_is_assembled_on_steps_that_ran(here: Clone, there: Clone, forge: Forge) -> None:
    """The machine that comes second finds what ran in the registry."""
    one, other = here.build("steps"), there.build("steps")
    assert one["digest"] == other["digest"]
    assert "8.1." in forge.sh(one["uri"], "tree --version >&2; python -c 'import click; print(click.__version__)'")
    assert there.run("verify", one["uri"], "--json")["same"]


def test_what_is_built_from_source(here: Clone, there: Clone, forge: Forge) -> None:
    """Its source is pinned, and the tools that build it by their time: each machine builds the same wheel, anew."""
    path = here.folder / "imagebuilder.lock"
    lock = path.read_text()
    assert 'name = "docopt"\nversion = "0.6.2"\nstep = 1\nsdist = {hashes = {sha256 = "49b3a825' in lock
    assert "unpinned" not in lock
    one, other = here.build("built", "--no-cache"), there.build("built", "--no-cache")
    assert one["digest"] == other["digest"]
    assert there.run("verify", one["uri"], "--json")["same"]
    assert forge.sh(one["uri"], "python -c 'import docopt; print(docopt.__version__)'").strip() == "0.6.2"
    path.write_text(re.sub('build-tools-until = ".*"', 'build-tools-until = "2001-01-01T00:00:00Z"', lock))
    try:
        said = here.run("build", "spec.py", "--name", "built", "--locked", "--force", code=1)
        assert "layer 1, pip packages docopt==0.6.2 click<8.2" in said
        assert "setuptools" in said
    finally:
        path.write_text(lock)


def test_what_builds_only_after_an_earlier_layer(here: Clone, there: Clone, forge: Forge) -> None:
    """Locking makes the layers before it, as the build does, and the build takes them from there."""
    lock = (here.folder / "imagebuilder.lock").read_text()
    assert 'name = "old-style"\nstep = 1\ndirectory' in lock
    one, other = here.build("tool"), there.build("tool")
    assert one["digest"] == other["digest"]
    script = "import importlib.metadata as m; print(m.version('old-style'), m.version('idna'))"
    assert forge.run(one["uri"], "python", "-c", script) == "1.5 3.10\n"
    said = here.run("lock", "spec.py", "--name", "bare", code=1)
    assert "layer 1, requirements old.txt" in said
    assert "/usr/local/bin/needed" in said
    assert (here.folder / "imagebuilder.lock").read_text() == lock


def test_steps_install_what_is_pinned(here: Clone, forge: Forge) -> None:
    made = here.build("run")
    lock = (here.folder / "imagebuilder.lock").read_text()
    version = forge.sh(made["uri"], "python -c 'import click; print(click.__version__)'").strip()
    assert f'name = "click"\nversion = "{version}"' in lock


def test_the_lock_is_held_to(here: Clone) -> None:
    spec = here.folder / "spec.py"
    text = spec.read_text()
    spec.write_text(text.replace('"zope.interface==7.2"', '"zope.interface==7.1.1"'))
    try:
        said = here.run("build", "spec.py", "--locked", "--name", "app", code=1)
        assert "zope.interface==7.2 became zope.interface==7.1.1" in said
        before = (here.folder / "imagebuilder.lock").read_text()
        said = here.run("lock", "spec.py", "--name", "app")
        assert "zope-interface 7.2 became 7.1.1" in said
        assert "click" not in said.partition("linux/amd64: ")[2]
        (here.folder / "imagebuilder.lock").write_text(before)
    finally:
        spec.write_text(text)
