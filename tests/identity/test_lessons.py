"""What other systems paid for, each by name: what must count in an identifier, and what must not."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image, Secret
from imagebuilder.errors import SourceChangedError
from imagebuilder.identity.identifier import identify
from imagebuilder.identity.recipe import Recipe, recipe
from imagebuilder.sources import Sources
from imagebuilder.sources.read import read_materials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASE = Image.from_debian_base("3.11")


def identifier(image: Image, chosen: Recipe | None = None) -> str:
    chosen = chosen or recipe()
    with Sources() as sources:
        return identify(image, read_materials(image, sources, chosen.python_for), chosen).identifier


def write(path: Path, content: str = "x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(tmp_path / "code/main.py", "print(1)\n")
    write(tmp_path / "code/lib/a.py")
    return tmp_path / "code"


@pytest.fixture
def counts(tree: Path) -> Callable[[Callable[[], object]], bool]:
    """Whether a change to the folder changes its image."""

    def changed(change: Callable[[], object], image: Image | None = None) -> bool:
        image = image or BASE.with_source_folder(tree, "/app")
        before = identifier(image)
        assert identifier(image) == before
        change()
        return identifier(image) != before

    return changed


DIFFER = {
    "the task SDK and none": (BASE, Image.from_debian_base("3.11", install_sdk=False)),
    "two versions of the task SDK": (BASE, Image.from_debian_base("3.11", install_sdk="0.0.9")),
    "ab c and a bc": (BASE.with_pip_packages("ab", "c"), BASE.with_pip_packages("a", "bc")),
    "pip git and apt git": (BASE.with_pip_packages("git"), BASE.with_apt_packages("git")),
    "apt git and command git": (BASE.with_apt_packages("git"), BASE.with_commands(["git"])),
    "pip git and command git": (BASE.with_pip_packages("git"), BASE.with_commands(["git"])),
    "one layer and two": (BASE.with_pip_packages("a", "b"), BASE.with_pip_packages("a").with_pip_packages("b")),
    "index_url and extra_index_urls": (
        BASE.with_pip_packages("a", index_url="https://h/x"),
        BASE.with_pip_packages("a", extra_index_urls=["https://h/x"]),
    ),
    "one variable and two": (BASE.with_env_vars({"A": "1 B=2"}), BASE.with_env_vars({"A": "1", "B": "2"})),
    "a variable and a label": (BASE.with_env_vars({"A": "1"}), BASE.with_labels({"A": "1"})),
    "pre and extra_args": (BASE.with_pip_packages("a", pre=True), BASE.with_pip_packages("a", extra_args="True")),
    "extra_args one word and two": (
        BASE.with_pip_packages("a", extra_args="'b c'"),
        BASE.with_pip_packages("a", extra_args="b c"),
    ),
    "python version": (BASE, Image.from_debian_base("3.12")),
    "platform": (BASE, BASE.clone(platform="linux/arm64")),
    "one platform and two": (BASE, BASE.clone(platform="linux/arm64,linux/amd64")),
    "commands one and two": (BASE.with_commands(["a\nb"]), BASE.with_commands(["a", "b"])),
    "the order of commands": (BASE.with_commands(["a", "b"]), BASE.with_commands(["b", "a"])),
    "a secret's key": (
        BASE.with_commands(["a"], secret_mounts="KEY"),
        BASE.with_commands(["a"], secret_mounts=Secret("other", as_env_var="KEY")),
    ),
    "a secret at all": (BASE.with_commands(["a"], secret_mounts="KEY"), BASE.with_commands(["a"])),
    "a base's tag": (Image.from_base("python:3.11"), Image.from_base("python:3.12")),
    "a base's registry": (Image.from_base("ghcr.io/library/python"), Image.from_base("python")),
    "an entrypoint's words": (BASE.with_entrypoint("a b"), BASE.with_entrypoint("a", "b")),
    "a cleared entrypoint": (BASE, BASE.with_entrypoint()),
    "a user's id": (BASE.with_user("a"), BASE.with_user("a", uid=1000)),
    "a layer before and after the user": (
        BASE.with_user("a").with_commands(["x"]),
        BASE.with_commands(["x"]).with_user("a"),
    ),
}


@pytest.mark.parametrize("name", DIFFER)
def test_counts(name):
    one, other = DIFFER[name]
    assert identifier(one) != identifier(other)


SAME = {
    "the order of variables": (BASE.with_env_vars({"A": "1", "B": "2"}), BASE.with_env_vars({"B": "2", "A": "1"})),
    "the order of labels": (BASE.with_labels({"A": "1", "B": "2"}), BASE.with_labels({"B": "2", "A": "1"})),
    "the order of Debian packages": (BASE.with_apt_packages("b", "a", "a"), BASE.with_apt_packages("a", "b")),
    "the order of secrets": (
        BASE.with_commands(["a"], secret_mounts=["x", "y"]),
        BASE.with_commands(["a"], secret_mounts=["y", "x"]),
    ),
    "a secret's default variable": (
        BASE.with_commands(["a"], secret_mounts="api-key"),
        BASE.with_commands(["a"], secret_mounts=Secret("api-key", as_env_var="API_KEY")),
    ),
    "name and registry": (BASE, BASE.clone(name="x", registry="ghcr.io/y", registry_secret="LOGIN")),
    "credentials": (
        BASE.with_pip_packages("a", index_url="https://bob:pw@h/x"),
        BASE.with_pip_packages("a", index_url="https://eve:other@h/x"),
    ),
    "credentials at all": (
        BASE.with_pip_packages("a", index_url="https://bob:pw@h/x"),
        BASE.with_pip_packages("a", index_url="https://h/x"),
    ),
    "how a base is written": (Image.from_base("python:3.11"), Image.from_base("docker.io/library/python:3.11")),
    "latest": (Image.from_base("ghcr.io/a/b"), Image.from_base("ghcr.io/a/b:latest")),
    "a tag beside a digest": (
        Image.from_base("python:3.11@sha256:" + "a" * 64),
        Image.from_base("python@sha256:" + "a" * 64),
    ),
    "how a platform is written": (
        BASE.clone(platform=["aarch64", "x86_64"]),
        BASE.clone(platform="linux/amd64,linux/arm64/v8"),
    ),
    "how a workdir is written": (BASE.with_workdir("sub"), BASE.with_workdir("/app/sub/")),
    "the workdir itself": (BASE.with_workdir("."), BASE.with_workdir("/app")),
}


@pytest.mark.parametrize("name", SAME)
def test_does_not_count(name):
    one, other = SAME[name]
    assert identifier(one) == identifier(other)


def test_relative_and_absolute_destinations_are_one_where_the_workdir_is_known(tree):
    file = tree / "main.py"
    assert identifier(BASE.with_source_folder(tree, "x")) == identifier(BASE.with_source_folder(tree, "/app/x"))
    assert identifier(BASE.with_source_folder(tree)) == identifier(BASE.with_source_folder(tree, "/app/code"))
    assert identifier(BASE.with_source_folder(tree, ".")) == identifier(BASE.with_source_folder(tree, "/app"))
    assert identifier(BASE.with_source_file(file)) == identifier(BASE.with_source_file(file, "/app"))
    assert identifier(BASE.with_source_file(file, "/app/")) == identifier(BASE.with_source_file(file, "/app"))
    assert identifier(BASE.with_source_file(file, "/etc")) == identifier(BASE.with_source_file(file, "/etc/"))
    assert identifier(BASE.with_source_file(file, "/x")) != identifier(BASE.with_source_file(file, "/x/"))
    moved = BASE.with_workdir("/srv")
    assert identifier(moved.with_source_folder(tree, "x")) == identifier(moved.with_source_folder(tree, "/srv/x"))
    unknown = Image.from_base("python:3.11")
    assert identifier(unknown.with_source_folder(tree, "x")) != identifier(unknown.with_source_folder(tree, "/x"))


def test_dst_counts(tree):
    assert identifier(BASE.with_source_folder(tree, "/a")) != identifier(BASE.with_source_folder(tree, "/b"))


def test_a_slash_is_no_joint_of_names(counts, tree):
    write(tree / "a/b.py")

    def rename() -> None:
        shutil.rmtree(tree / "a")
        write(tree / "ab.py")

    assert counts(rename)


def test_the_exec_bit_counts(counts, tree):
    assert counts(lambda: (tree / "main.py").chmod(0o755))


def test_other_modes_do_not_count(counts, tree):
    assert not counts(lambda: (tree / "main.py").chmod(0o600))


def test_an_empty_folder_counts(counts, tree):
    assert counts((tree / "empty").mkdir)


def test_contents_count(counts, tree):
    assert counts(lambda: write(tree / "lib/a.py", "y\n"))


def test_a_link_and_its_copy_differ(counts, tree):
    (tree / "link.py").symlink_to("main.py")

    def copy() -> None:
        (tree / "link.py").unlink()
        shutil.copy(tree / "main.py", tree / "link.py")

    assert counts(copy)


def test_a_dangling_and_a_retargeted_link_count(counts, tree):
    assert counts(lambda: (tree / "link").symlink_to("nowhere"))

    def retarget() -> None:
        (tree / "link").unlink()
        (tree / "link").symlink_to("main.py")

    assert counts(retarget)


def test_the_target_of_a_link_counts_once(counts, tree):
    (tree / "link").symlink_to("main.py")
    assert counts(lambda: write(tree / "main.py", "print(2)\n"))


def test_what_is_left_out_does_not_count(counts, tree):
    def add() -> None:
        write(tree / "__pycache__/main.cpython-311.pyc")
        write(tree / "lib/__pycache__/a.pyc")
        write(tree / ".git/HEAD")
        write(tree / ".env", "SECRET=1")
        write(tree / ".venv/pyvenv.cfg")

    assert not counts(add)


def test_times_do_not_count(counts, tree):
    assert not counts(lambda: os.utime(tree / "main.py", (1, 1)))


def test_the_order_in_which_files_were_made_does_not_count(tmp_path):
    one, other = tmp_path / "one/code", tmp_path / "other/code"
    for folder, names in ((one, "abc"), (other, "cba")):
        for name in names:
            write(folder / name, name)
    assert identifier(BASE.with_source_folder(one, "/x")) == identifier(BASE.with_source_folder(other, "/x"))


def test_where_a_folder_is_does_not_count(tree, tmp_path, monkeypatch):
    before = identifier(BASE.with_source_folder(tree))
    monkeypatch.chdir(tmp_path)
    assert identifier(BASE.with_source_folder("code")) == before
    assert identifier(BASE.with_source_folder("./code/")) == before
    shutil.copytree(tree, tmp_path / "deep/er/code", copy_function=shutil.copyfile)
    assert identifier(BASE.with_source_folder("deep/er/code")) == before


def test_only_the_effect_of_ignore_rules_counts(tree, tmp_path):
    write(tree / "data.csv")
    ignored = BASE.with_source_folder(tree, "/app", ignore=["*.csv"])
    before = identifier(ignored)
    assert before != identifier(BASE.with_source_folder(tree, "/app"))
    rules = write(tmp_path / "rules", "# other words\ndata.csv\n")
    assert identifier(BASE.with_source_folder(tree, "/app").with_dockerignore(rules)) == before
    write(tree / ".dockerignore", "**/*.csv\n")
    assert identifier(BASE.with_source_folder(tree, "/app")) == before
    write(tree / "more.csv")
    assert identifier(ignored) == before


def test_included_requirements_and_constraints_count(tmp_path):
    image = BASE.with_requirements(write(tmp_path / "r.txt", "-r base.txt\n-c limits.txt\nnumpy\n"))
    base, limits = write(tmp_path / "base.txt", "six\n"), write(tmp_path / "limits.txt", "six<2\n")
    found = {identifier(image)}
    write(base, "six==1.17\n")
    found.add(identifier(image))
    write(limits, "six<1.18\n")
    found.add(identifier(image))
    write(tmp_path / "r.txt", "-c base.txt\n-r limits.txt\nnumpy\n")
    found.add(identifier(image))
    assert len(found) == 4


def test_the_sources_of_a_path_dependency_count(tmp_path):
    write(
        tmp_path / "app/pyproject.toml",
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["lib"]\n'
        '[tool.uv.sources]\nlib = { path = "../lib", editable = true }\n',
    )
    write(
        tmp_path / "app/uv.lock",
        'version = 1\nrequires-python = ">=3.10"\n\n[[package]]\nname = "app"\nversion = "1"\n'
        'source = { virtual = "." }\ndependencies = [{ name = "lib" }]\n\n'
        '[package.metadata]\nrequires-dist = [{ name = "lib", editable = "../lib" }]\n\n'
        '[[package]]\nname = "lib"\nversion = "1"\nsource = { editable = "../lib" }\n',
    )
    write(tmp_path / "lib/pyproject.toml", '[project]\nname = "lib"\nversion = "1"\nrequires-python = ">=3.10"\n')
    code = write(tmp_path / "lib/lib.py")
    image = BASE.with_uv_project(tmp_path / "app/pyproject.toml")
    before = identifier(image)
    write(code, "y\n")
    assert identifier(image) != before


def test_the_files_of_a_dockerfile_count(tmp_path):
    dockerfile = write(tmp_path / "d/Dockerfile", "FROM scratch\nCOPY file /\n")
    image = Image.from_dockerfile(dockerfile)
    found = {identifier(image)}
    write(tmp_path / "d/file")
    found.add(identifier(image))
    write(dockerfile, "FROM scratch\nCOPY file /x\n")
    found.add(identifier(image))
    assert len(found) == 3


def test_of_a_script_only_the_metadata_counts(tmp_path):
    head = '# /// script\n# requires-python = "==3.12.*"\n# dependencies = ["{}"]\n# ///\n'
    script = write(tmp_path / "s.py", head.format("numpy") + "print(1)\n")
    image = Image.from_uv_script(script)
    before = identifier(image)
    write(script, "#!/usr/bin/env python\n" + head.format("numpy") + "print(2)\n")
    assert identifier(image) == before
    write(script, head.format("scipy") + "print(1)\n")
    assert identifier(image) != before
    assert identifier(Image.from_uv_script(script, python_version="3.12")) == identifier(image)


def test_the_epoch_counts():
    other = Recipe(epoch=2, debian_bases=recipe().debian_bases)
    assert identifier(BASE) != identifier(BASE, other)


def test_a_base_added_to_an_epoch_does_not_count():
    more = Recipe(epoch=1, debian_bases={**recipe().debian_bases, (3, 99): "python:3.99"})
    assert identifier(BASE) == identifier(BASE, more)


def test_md5_is_not_needed_as_under_fips(tree, monkeypatch):
    image = BASE.with_source_folder(tree, "/app").with_requirements(write(tree.parent / "r.txt", "six\n"))
    before = identifier(image)

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("[digital envelope routines] unsupported")

    for name in ("md5", "sha1", "new", "blake2b", "blake2s"):
        monkeypatch.setattr(hashlib, name, refuse)
    assert identifier(image) == before


def test_an_edit_between_identifying_and_building_is_noticed(tree, tmp_path):
    image = BASE.with_source_folder(tree, "/app")
    with Sources() as sources:
        (material,) = read_materials(image, sources, recipe().python_for).layers
    write(tree / "main.py", "print(2)\n")
    with pytest.raises(SourceChangedError):
        material.write(tmp_path / "context")


def test_the_environment_does_not_count(tree, monkeypatch):
    image = BASE.with_source_folder(tree, "/app").with_env_vars({"B": "1", "A": "2"})
    before = identifier(image)
    for name in ("HOME", "LANG", "LC_ALL", "TZ", "PYTHONHASHSEED", "IMAGEBUILDER_REGISTRY", "DOCKER_HOST"):
        monkeypatch.setenv(name, "elsewhere")
    assert identifier(image) == before
