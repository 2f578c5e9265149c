"""The same spec built by BuildKit and assembled directly: trees that differ only where this page says so."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from imagebuilder import Image

if TYPE_CHECKING:
    from conftest import Forge

    from imagebuilder.engine import Result

VENV = "opt/venv"
SITE = f"{VENV}/lib/python3\\.\\d+/site-packages"


class Node(NamedTuple):
    kind: str
    mode: int
    uid: int
    gid: int
    link: str = ""
    content: str = ""


# What may differ, and why. Patterns of whole paths; a path stands in one tree alone, or with other content.
DIFFERENT = {
    # Bytecode depends on the interpreter's patch version and on what else is alive in its process.
    r".*/__pycache__/[^/]*\.pyc": "content",
    # We name ourselves, and count what we wrote.
    f"{SITE}/[^/]*\\.dist-info/INSTALLER": "content",
    f"{SITE}/[^/]*\\.dist-info/RECORD": "content",
    # uv notes for its cache when it built a wheel, and how.
    f"{SITE}/[^/]*\\.dist-info/(?:uv_build|uv_cache)\\.json": "present",
    # uv brings activation scripts for other shells, and its own for this one; and a hook for distutils.
    f"{VENV}/bin/activate.*|{VENV}/bin/(?:de)?activate\\.bat|{VENV}/bin/pydoc\\.bat": "present",
    f"{SITE}/_virtualenv\\.(?:py|pth)|{SITE}/__pycache__/_virtualenv\\..*": "present",
    f"{VENV}/bin/activate": "content",
    f"{VENV}/pyvenv\\.cfg": "content",
    # useradd locks a password in /etc/shadow; ours is locked in /etc/passwd, and needs no entry there.
    r"etc/(?:passwd|group)": "content",
    r"etc/(?:shadow|gshadow|subuid|subgid)": "content",
    r"etc/(?:passwd|group|shadow|gshadow|subuid|subgid)-": "present",
    r"etc/\.pwd\.lock|var/log/(?:lastlog|faillog)": "present",
    # What mounts and runc leave.
    r"run/imagebuilder(?:/.*)?|etc/(?:hosts|resolv\.conf|hostname|mtab)|(?:proc|sys|dev)(?:/.*)?": "present",
}


def tree(forge: Forge, uri: str) -> dict[str, Node]:
    """The merged tree of all layers."""
    found: dict[str, Node] = {}
    for layer in forge.layers(uri):
        made: dict[str, Node] = {}
        gone: list[str] = []
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for entry in tar:
                path = entry.name.strip("/").removeprefix("./")
                folder, _, name = path.rpartition("/")
                if name == ".wh..wh..opq":
                    gone.append(f"{folder}/")
                elif name.startswith(".wh."):
                    gone += [f"{folder}/{name[4:]}".lstrip("/"), f"{folder}/{name[4:]}/".lstrip("/")]
                elif path not in ("", "."):
                    assert path not in made, f"{path} is twice in a layer"
                    made[path] = node(tar, entry, made)
        found = {
            path: kept
            for path, kept in found.items()
            if not any(path == item or (item.endswith("/") and path.startswith(item)) for item in gone)
        }
        for path, new in made.items():
            assert not (path in found and found[path].kind == "link" and new.kind == "folder"), f"{path} hides a link"
        found |= made
    return found


def node(tar: tarfile.TarFile, entry: tarfile.TarInfo, made: dict[str, Node]) -> Node:
    if entry.islnk():
        return made[entry.linkname.strip("/").removeprefix("./")]
    if entry.isdir():
        return Node("folder", entry.mode & 0o7777, entry.uid, entry.gid)
    if entry.issym():
        return Node("link", 0, entry.uid, entry.gid, entry.linkname)
    stream = tar.extractfile(entry)
    data = stream.read() if stream else b""
    return Node("file", entry.mode & 0o7777, entry.uid, entry.gid, "", hashlib.sha256(data).hexdigest())


def differences(one: dict[str, Node], other: dict[str, Node]) -> dict[str, tuple[Node | None, Node | None]]:
    found: dict[str, tuple[Node | None, Node | None]] = {}
    for path in sorted(one.keys() | other.keys()):
        here, there = one.get(path), other.get(path)
        allowed = next((kind for pattern, kind in DIFFERENT.items() if re.fullmatch(pattern, path)), "")
        if here and there and allowed:
            here, there = here._replace(content=""), there._replace(content="")
        if here != there and not (allowed == "present" and (here is None or there is None)):
            found[path] = here, there
    return found


def both(forge: Forge, image: Image, direct: str = "direct") -> tuple[Result, Result]:
    assert image.name
    return tuple(  # type: ignore[return-value]
        replace(forge, flags={"builder": kind}, events=[]).build_one(
            image.clone(name=forge.name(f"agree/{kind}/{image.name}"), registry=forge.registry)
        )
        for kind in ("buildkit", direct)
    )


def settings(forge: Forge, uri: str) -> dict[str, Any]:
    found = forge.image_config(uri)["config"]
    names = ("Env", "User", "WorkingDir", "Entrypoint", "Cmd", "Labels", "ExposedPorts", "Volumes", "StopSignal")
    return {name: sorted(found[name]) if name == "Env" else found[name] for name in names if found.get(name)}


def agree(forge: Forge, image: Image) -> tuple[str, str]:
    ran, assembled = both(forge, image)
    assert settings(forge, ran.uri) == settings(forge, assembled.uri)
    assert differences(tree(forge, ran.uri), tree(forge, assembled.uri)) == {}
    return ran.uri, assembled.uri


# What those need, so that the builders agree on a day when one of it has a release between their builds, too.
PINNED = (
    *("certifi==2024.8.30", "charset-normalizer==3.4.0", "urllib3==2.2.3"),
    *("click==8.1.7", "mypy-extensions==1.0.0", "packaging==24.2", "pathspec==0.12.1", "platformdirs==4.3.6"),
    "setuptools==75.6.0",
)


@pytest.fixture
def tree_of_files(tree: Any) -> Any:
    tree.file("code/main.py", "print('main')\n")
    tree.file("code/tools/run.sh", "#!/bin/sh\necho run\n", 0o755)
    tree.file("code/deep/er/data.txt", "data")
    (tree.root / "code" / "empty").mkdir()
    (tree.root / "code" / "link").symlink_to("deep/er")
    return tree.root


def test_packages_files_and_settings(forge: Forge, tree_of_files: Any) -> None:
    image = (
        Image.from_debian_base("3.11", name="whole")
        .with_pip_packages("requests==2.32.3", "black==24.10.0", "zope.interface==7.2", *PINNED)
        .with_pip_packages("idna==3.10")
        .with_env_vars({"A": "1 $HOME \"q\" 'x'", "EMPTY": ""})
        .with_source_folder(tree_of_files / "code", "/app/code")
        .with_source_folder(tree_of_files / "code", "relative")
        .with_source_file(tree_of_files / "code" / "main.py", "/opt/tools/main.py")
        .with_source_file(tree_of_files / "code" / "main.py", "/etc")
        .with_workdir("/work/deep")
        .with_source_file(tree_of_files / "code" / "main.py", "here.py")
        .with_user("builder", uid=1234)
        .with_workdir("/work/other/deep")
        .with_source_folder(tree_of_files / "code", "/srv/mine")
        .with_user("next")
        .with_source_file(tree_of_files / "code" / "tools" / "run.sh", "/opt/other/run.sh")
        .with_labels({"org.example": "yes", "org.example.spaces": "a b $c"})
        .with_entrypoint(["python", "-m", "black", "--version"])
    )
    ran, assembled = agree(forge, image)
    for uri in (ran, assembled):
        assert "black" in forge.run(uri)
        said = forge.sh(
            uri, "id -un; id -u; pwd; echo ~; ls -A ~; python -c 'import requests; print(requests.__name__)'"
        )
        assert said.split()[:4] == ["next", "1235", "/work/other/deep", "/home/next"]
        assert said.split()[-1] == "requests"
    assert records(forge, ran) == records(forge, assembled)


def records(forge: Forge, uri: str) -> dict[str, set[tuple[str, ...]]]:
    """What every RECORD lists, without what names its installer; each file is as it says."""
    script = (
        "import csv,hashlib,base64,pathlib,sys\n"
        "for record in sorted(pathlib.Path('/opt/venv/lib').glob('python3*/site-packages/*.dist-info/RECORD')):\n"
        "  for path, digest, size in csv.reader(record.open()):\n"
        "    if digest and not path.endswith(('INSTALLER', 'uv_build.json', 'uv_cache.json')):\n"
        "      data = (record.parent.parent / path).read_bytes()\n"
        "      assert len(data) == int(size), path\n"
        "      found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')\n"
        "      assert digest == 'sha256=' + found, path\n"
        "      print(record.parent.name, path, digest, sep=',')\n"
    )
    found: dict[str, set[tuple[str, ...]]] = {}
    for name, *rest in csv.reader(forge.run(uri, "python", "-c", script).splitlines()):
        found.setdefault(name, set()).add(tuple(rest))
    return found


def test_a_foreign_base(forge: Forge, tree: Any, tree_of_files: Any) -> None:
    """Links among its folders, a user, a working directory, a command of its own, files where ours go."""
    dockerfile = tree.file(
        "foreign/Dockerfile",
        "FROM debian:bookworm-slim\n"
        "RUN useradd --uid 4321 --create-home worker && mkdir -p /real/folder /real/old && ln -s /real /short && "
        "ln -s ../real/folder /srv/up && chmod 1770 /real && chown worker /real/folder && echo old > /real/old/main.py"
        " && echo target > /real/target && ln -s target /real/alias && mkdir /gone\n"
        "RUN rm -r /gone && mkdir -p /real/folder/made\n"
        "USER worker\nWORKDIR /home/worker\nENV KEPT=yes PATH=/usr/sbin:/usr/bin:/bin\nLABEL kept=yes\nVOLUME /data\n"
        "EXPOSE 80\nSTOPSIGNAL SIGINT\n"
        'ENTRYPOINT ["echo", "base"]\nCMD ["more"]\n',
    )
    foreign = forge.build_one(Image.from_dockerfile(dockerfile, name=forge.name("base"), registry=forge.registry))
    main = tree_of_files / "code" / "main.py"
    image = (
        Image.from_base(foreign.uri, name="foreign")
        .with_source_folder(tree_of_files / "code", "/short/folder/code")
        .with_source_file(main, "/srv/up/made")
        .with_source_file(main, "/short/old/main.py")
        .with_source_file(main, "/real/alias")
        .with_source_file(main, "/gone/again.py")
        .with_source_folder(tree_of_files / "code", "relative")
        .with_workdir("inner/most")
        .with_source_file(main, "beside.py")
        .with_env_vars({"KEPT": "changed", "NEW": "1"})
    )
    ran, assembled = agree(forge, image)
    assert forge.run(ran) == forge.run(assembled) == "base more\n"
    with_user = image.clone(name="foreign-user").with_user("fresh").with_workdir("/mine/too").with_entrypoint([])
    agree(forge, with_user)
    agree(forge, image.clone(name="foreign-root").with_user("root").with_workdir("/roots/own"))


def test_packages_on_a_foreign_base(forge: Forge, tree: Any) -> None:
    dockerfile = tree.file(
        "foreign/Dockerfile",
        "FROM python:3.11-slim-bookworm\nRUN useradd --uid 77 --create-home worker\n"
        "USER worker\nWORKDIR /home/worker\n",
    )
    foreign = forge.build_one(Image.from_dockerfile(dockerfile, name=forge.name("pybase"), registry=forge.registry))
    image = Image.from_base(foreign.uri, name="foreign-pip").with_pip_packages("click==8.1.7", "idna==3.10")
    _, assembled = agree(forge, image)
    assert forge.sh(assembled, "id -un; python -c 'import click; print(click.__file__)'").split() == [
        "worker",
        "/opt/venv/lib/python3.11/site-packages/click/__init__.py",
    ]
    # And on top of that, which has packages already.
    more = Image.from_base(assembled, name="foreign-more").with_pip_packages("requests==2.32.3", "idna==3.10")
    agree(forge, more)


def test_a_newer_python_on_a_newer_debian(forge: Forge) -> None:
    packages = ("greenlet==3.1.1", "zope.interface==7.2", "black==24.10.0", "jupyterlab-widgets==3.0.13", *PINNED)
    image = Image.from_base("python:3.13-slim-trixie", name="newer").with_pip_packages(*packages)
    ran, assembled = agree(forge, image)
    assert records(forge, ran) == records(forge, assembled)
    said = forge.sh(
        assembled, "black --version; python -c 'import greenlet._greenlet, sys; print(sys.version_info[:2])'"
    )
    assert said.endswith("(3, 13)\n")


HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'


@pytest.fixture
def projects(tree: Any) -> Any:
    """What packages are made of: scripts, schemes of `.data`, a namespace of two projects, an editable install."""
    for name in ("one", "two"):
        tree.file(
            f"space-{name}/pyproject.toml",
            f'[project]\nname = "space-{name}"\nversion = "1"\n{HATCH}[tool.hatch.build.targets.wheel]\n'
            'packages = ["src/space"]\n',
        )
        tree.file(f"space-{name}/src/space/{name}/__init__.py", f"name = {name!r}\n")
    tree.file(
        "whole/pyproject.toml",
        f'[project]\nname = "whole"\nversion = "2.1"\ndynamic = ["dependencies"]\n{SETUPTOOLS}'
        '[project.scripts]\nwhole-run = "whole:main"\n[project.gui-scripts]\nwhole-gui = "whole:main"\n'
        '[project.entry-points."some.group"]\nhere = "whole:main"\n'
        '[tool.setuptools]\npackages = ["whole"]\nscript-files = ["bin/whole-script"]\n'
        '[tool.setuptools.data-files]\n"share/whole" = ["data.txt"]\n'
        '[tool.setuptools.dynamic]\ndependencies = { file = ["needs.txt"] }\n',
    )
    tree.file("whole/needs.txt", "idna==3.10\n")
    tree.file("whole/data.txt", "data\n")
    tree.file("whole/bin/whole-script", "#!/usr/bin/env python\nprint('script')\n", 0o755)
    tree.file("whole/whole/__init__.py", "def main():\n    print('whole')\n")
    tree.file("requirements.txt", "-e ./space-one\n./space-two\n./whole\ndocopt==0.6.2\n")
    return tree.root


def test_sources_that_are_built(forge: Forge, projects: Any) -> None:
    image = Image.from_debian_base("3.11", name="built").with_requirements(projects / "requirements.txt")
    ran, assembled = both(forge, image, direct="auto")
    assert differences(tree(forge, ran.uri), tree(forge, assembled.uri)) == {}
    script = (
        "import importlib.metadata as m, importlib.util as u, space.one, space.two, whole, docopt\n"
        "print(sorted((d.name, d.version, sorted((e.group, e.name) for e in d.entry_points)) for d in m.distributions()"
        " if d.name != 'pip'), list(m.metadata('whole').get_all('Requires-Dist')), space.__file__)\n"
        "print([m.distribution(name).read_text('direct_url.json') for name in ('whole', 'docopt')])\n"
        "print([str(f) for f in sorted(m.files('whole')) if not str(f).endswith(('.pyc', '.json'))])"
    )
    said = {}
    for uri in (ran.uri, assembled.uri):
        said[uri] = forge.run(uri, "python", "-c", script) + forge.sh(
            uri, "whole-run; whole-script; cat /opt/venv/share/whole/data.txt; head -1 /opt/venv/bin/whole-*"
        )
        assert "('space-one', '1', [])" in said[uri]
        assert '"url":"file:///run/imagebuilder/files/local-' in said[uri]
        assert "whole\nscript\ndata\n" in said[uri]
        assert pip_check(forge, uri)
    assert said[ran.uri] == said[assembled.uri]
    assert records(forge, ran.uri) == records(forge, assembled.uri)


def pip_check(forge: Forge, uri: str) -> bool:
    """Whether uv, in the running image, finds every package's needs met."""
    from uv import find_uv_bin

    mount = ("--mount", f"type=bind,source={find_uv_bin()},target=/usr/bin/uv,readonly")
    forge.run(uri, "uv", "pip", "check", "--no-cache", "--python", "/opt/venv/bin/python", options=mount)
    return True
