"""uv projects: what is staged, what counts, and that the real uv syncs it offline."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from imagebuilder import Image
from imagebuilder.errors import SecretError, SourceError, SpecError
from imagebuilder.sources import Sources
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.read import read_materials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BACKEND = """
import pathlib, zipfile

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(folder, config_settings=None, metadata_directory=None):
    lines = pathlib.Path("pyproject.toml").read_text().splitlines()
    name = next(line.split('"')[1] for line in lines if line.startswith("name"))
    wheel, info = f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder, wheel), "w") as file:
        file.write(f"{name}.py")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(f"{info}/RECORD", "")
    return wheel
"""
BUILD = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
SYNC = ("sync", "--frozen", "--inexact", "--no-default-groups", "--no-editable")


def project(name: str, requires: tuple[str, ...] = (), more: str = "", build: str = BUILD) -> dict[str, str]:
    text = f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.10"\ndependencies = {list(requires)}\n'
    code = {"backend.py": BACKEND, f"{name}.py": "x = 1\n"} if build else {}
    return {"pyproject.toml": f"{text}{build}{more}", **code}


def at(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}" if folder else name: content for name, content in files.items()}


def sources(**places: str) -> str:
    lines = "".join(f"{name} = {value}\n" for name, value in places.items())
    return f"[tool.uv.sources]\n{lines}"


def uv(*arguments: str, cwd: Path, cache: Path) -> str:
    environment = {
        "PATH": os.defpath,
        "HOME": str(cache),
        "UV_CACHE_DIR": str(cache / "uv"),
        "UV_OFFLINE": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
    }
    done = subprocess.run(
        [find_uv_bin(), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def workspace(make_tree, tmp_path: Path) -> Callable[..., Path]:
    """Make projects and lock the one in `root`."""

    def make(tree: dict[str, str], root: str = "app", name: str = "tree") -> Path:
        folder = make_tree(tree, name)
        uv("lock", cwd=folder / root, cache=tmp_path / "cache")
        return folder

    return make


@pytest.fixture
def synced(tmp_path: Path) -> Callable[..., set[str]]:
    """Write a material, run the build step's `uv sync` in it, and tell what it installed."""

    def sync(material: Material, *arguments: str, project_too: bool = False) -> set[str]:
        out = tmp_path / "staged"
        material.write(out)
        arguments += () if project_too else ("--no-install-project",)
        said = uv(*SYNC, *arguments, cwd=out / material.entry, cache=tmp_path / "cache")
        return {line.split()[1] for line in said.splitlines() if line.startswith(" + ")}

    return sync


def read(path: Path, **options: str) -> Material:
    image = Image.from_debian_base().with_uv_project(path, **options)
    (material,) = read_materials(image, Sources(), lambda requires, name: (3, 11)).layers
    assert material is not None
    return material


def places(material: Material) -> list[str]:
    return [place for place, _ in material.contents()]


LIBS = {**at("lib", project("lib")), **at("deep/other", project("other"))}
PATHS = sources(lib='{ path = "../lib", editable = true }', other='{ path = "../deep/other" }')


def workspace_tree() -> dict[str, str]:
    more = '[tool.uv.workspace]\nmembers = ["packages/*"]\n' + sources(
        a="{ workspace = true }", c="{ workspace = true }"
    )
    return {
        **at("", project("root", ("a",), '[dependency-groups]\ndev = ["c"]\n' + more)),
        **at("packages/a", project("a", ("b",), sources(b="{ workspace = true }"))),
        **at("packages/b", project("b")),
        **at("packages/c", project("c")),
    }


# -- the real uv -----------------------------------------------------------------------------------------------------


def test_uv_syncs_a_plain_project(workspace, synced):
    root = workspace(at("app", project("app")))
    material = read(root / "app/pyproject.toml")
    assert (places(material), material.entry) == (["pyproject.toml", "uv.lock"], "")
    assert synced(material) == set()


def test_uv_syncs_the_dependencies_of_a_project_with_path_dependencies(workspace, synced):
    root = workspace({**at("app", project("app", ("lib", "other"), PATHS)), **LIBS})
    material = read(root / "app/pyproject.toml")
    assert material.entry == "app"
    assert {"app/pyproject.toml", "app/uv.lock", "lib/lib.py", "deep/other/other.py"} < set(places(material))
    assert "app/app.py" not in places(material)
    assert synced(material) == {"lib==1.0", "other==1.0"}


def test_uv_installs_the_project_too(workspace, synced):
    root = workspace({**at("app", project("app", ("lib", "other"), PATHS)), **LIBS})
    material = read(root / "app/pyproject.toml", project_install_mode="install_project")
    assert "app/app.py" in places(material)
    assert synced(material, project_too=True) == {"app==1.0", "lib==1.0", "other==1.0"}


def test_uv_syncs_a_virtual_root_with_an_editable_path_dependency(workspace, synced):
    root = workspace({**at("app", project("app", ("lib", "other"), PATHS, build="")), **LIBS})
    assert synced(read(root / "app/pyproject.toml")) == {"lib==1.0", "other==1.0"}


def test_uv_syncs_a_root_that_is_no_project_with_all_members(workspace, synced):
    tree = {
        "pyproject.toml": '[tool.uv.workspace]\nmembers = ["m", "n"]\n',
        **at("m", project("m")),
        **at("n", project("n")),
    }
    assert synced(read(workspace(tree, "") / "pyproject.toml")) == {"m==1.0", "n==1.0"}


def test_uv_syncs_the_root_of_a_workspace(workspace, synced):
    material = read(workspace(workspace_tree(), "") / "pyproject.toml")
    assert "root.py" not in places(material)
    assert {"packages/a/a.py", "packages/b/b.py", "packages/c/pyproject.toml"} < set(places(material))
    assert "packages/c/c.py" not in places(material)
    assert synced(material) == {"a==1.0", "b==1.0"}


def test_uv_installs_the_root_of_a_workspace(workspace, synced):
    material = read(workspace(workspace_tree(), "") / "pyproject.toml", project_install_mode="install_project")
    assert synced(material, project_too=True) == {"root==1.0", "a==1.0", "b==1.0"}


def test_uv_syncs_a_member_of_a_workspace_whose_lock_is_above(workspace, synced):
    material = read(workspace(workspace_tree(), "") / "packages/a/pyproject.toml")
    assert material.entry == "packages/a"
    assert {"uv.lock", "pyproject.toml", "packages/b/b.py"} < set(places(material))
    assert {"root.py", "packages/a/a.py", "packages/c/c.py"}.isdisjoint(places(material))
    assert synced(material) == {"b==1.0"}


def test_uv_syncs_groups_and_extras_that_are_asked_for(workspace, synced):
    root = workspace(workspace_tree(), "")
    material = read(root / "pyproject.toml", extra_args="--group dev")
    assert synced(material, "--group", "dev") == {"a==1.0", "b==1.0", "c==1.0"}
    assert "packages/c/c.py" in places(read(root / "packages/a/pyproject.toml", extra_args="--all-packages"))


def test_uv_syncs_extras_of_dependencies(workspace, synced):
    extra = '[project.optional-dependencies]\nmore = ["other"]\n' + sources(other='{ path = "../deep/other" }')
    tree = {
        **at("app", project("app", ("lib[more]",), sources(lib='{ path = "../lib" }'))),
        **LIBS,
        **at("lib", project("lib", (), extra)),
    }
    assert synced(read(workspace(tree) / "app/pyproject.toml")) == {"lib==1.0", "other==1.0"}


def test_uv_syncs_wheels_and_indexes_that_are_folders(make_tree, workspace, synced, tmp_path: Path):
    links = make_tree({**at("one", project("one")), **at("two", project("two")), "links/": None})
    for name in ("one", "two"):
        make = "import backend, sys; backend.build_wheel(sys.argv[1])"
        subprocess.run([sys.executable, "-c", make, links / "links"], cwd=links / name, check=True)
    index = '[[tool.uv.index]]\nname = "links"\nurl = "../links"\nformat = "flat"\n'
    more = index + sources(two='{ path = "../links/two-1.0-py3-none-any.whl" }')
    root = workspace(at("app", project("app", ("one", "two"), more)))
    material = read(root / "app/pyproject.toml")
    wheels = [place for place in places(material) if place.endswith(".whl")]
    assert wheels == ["links/one-1.0-py3-none-any.whl", "links/two-1.0-py3-none-any.whl"]
    assert synced(material) == {"one==1.0", "two==1.0"}


# -- what counts -----------------------------------------------------------------------------------------------------


@pytest.fixture
def app(workspace) -> Path:
    root: Path = workspace({**at("app", project("app", ("lib", "other"), PATHS)), **LIBS})
    return root


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("app/app.py", False),
        ("app/README.md", False),
        ("lib/lib.py", True),
        ("lib/new.txt", True),
        ("lib/.git/x", False),
    ],
)
def test_an_edit_counts_only_where_it_is_built(app: Path, file: str, counts: bool):
    before = read(app / "app/pyproject.toml").digest
    (app / file).parent.mkdir(exist_ok=True)
    (app / file).write_text("y = 2\n")
    assert (read(app / "app/pyproject.toml").digest != before) == counts


def test_an_edit_of_the_project_counts_where_it_is_installed(app: Path):
    before = read(app / "app/pyproject.toml", project_install_mode="install_project").digest
    (app / "app/app.py").write_text("y = 2\n")
    assert read(app / "app/pyproject.toml", project_install_mode="install_project").digest != before


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("[project]", "# a comment\n[project]", False),
        ('name = "app"', 'name   =  "app"', False),
        ('version = "1.0"', 'version = "1.0"\ndescription = "new"\nreadme = "README.md"', False),
        (
            "[build-system]",
            "[tool.ruff]\nline-length = 99\n[tool.uv.build-backend]\nmodule-name = 'x'\n[build-system]",
            False,
        ),
        ("[build-system]", "[tool.uv]\nno-binary = true\n[build-system]", True),
        (">=3.10", ">=3.11", True),
        ("'lib'", "'lib>=1'", True),
    ],
)
def test_of_a_pyproject_only_what_uv_reads_counts(app: Path, old: str, new: str, counts: bool):
    path = app / "app/pyproject.toml"
    before = read(path).digest
    path.write_text(path.read_text().replace(old, new))
    assert (read(path).digest != before) == counts


def test_the_lock_counts_and_its_first_comments_do_not(app: Path):
    lock = app / "app/uv.lock"
    before = read(app / "app/pyproject.toml").digest
    lock.write_text("# by somebody\n\n" + lock.read_text())
    assert read(app / "app/pyproject.toml").digest == before
    lock.write_text(lock.read_text() + "\n[manifest.x]\n")
    assert read(app / "app/pyproject.toml").digest != before


def test_the_place_of_the_whole_does_not_count(app: Path, tmp_path: Path):
    before = read(app / "app/pyproject.toml").digest
    app.rename(tmp_path / "moved")
    assert read(tmp_path / "moved/app/pyproject.toml").digest == before


def test_settings_of_the_workspace_count(app: Path):
    before = read(app / "app/pyproject.toml").digest
    (app / "app/uv.toml").write_text("# c\nno-binary = true\n")
    material = read(app / "app/pyproject.toml")
    assert material.digest != before
    assert dict(material.pieces)["app/uv.toml"] == Text(b"no-binary = true\n")


def test_a_project_that_its_own_dependency_needs_is_not_staged_in_dependencies_only(workspace):
    tree = workspace_tree()
    tree |= at("packages/a", project("a", ("root",), sources(root="{ workspace = true }")))
    tree |= at("", project("root", (), tree["pyproject.toml"].split(BUILD)[1].replace("dev", "x")))
    root = workspace(tree, "")
    material = read(root / "packages/a/pyproject.toml")
    assert {"root.py", "packages/a/pyproject.toml"} < set(places(material))
    assert "packages/a/a.py" not in places(material)


def test_a_dockerignore_cannot_hide_what_uv_reads(app: Path, synced):
    (app / "app/.dockerignore").write_text("*\n!app.py\n!backend.py\n")
    material = read(app / "app/pyproject.toml", project_install_mode="install_project")
    assert synced(material, project_too=True) == {"app==1.0", "lib==1.0", "other==1.0"}


def test_a_lock_of_another_place_is_staged_at_the_root(app: Path):
    before = read(app / "app/pyproject.toml").digest
    (app / "locks").mkdir()
    (app / "app/uv.lock").rename(app / "locks/linux.lock")
    material = read(app / "app/pyproject.toml", uvlock=str(app / "locks/linux.lock"))
    assert material.digest == before


def test_a_lock_of_another_place_is_staged_at_the_root_of_the_workspace(workspace):
    root = workspace(workspace_tree(), "")
    before = read(root / "packages/a/pyproject.toml").digest
    (root / "uv.lock").rename(root / "other.lock")
    assert read(root / "packages/a/pyproject.toml", uvlock=str(root / "other.lock")).digest == before


# -- what is refused -------------------------------------------------------------------------------------------------


def error(path: Path, kind: type[Exception] = SourceError, **options: str) -> str:
    with pytest.raises(kind) as caught:
        read(path, **options)
    assert str(caught.value).startswith("with_uv_project('")
    return str(caught.value)


def test_no_lock_says_what_to_run(app: Path):
    (app / "app/uv.lock").unlink()
    said = error(app / "app/pyproject.toml")
    assert f"{app}/app/uv.lock does not exist" in said
    assert f"run `uv lock` in {app}/app" in said


def test_a_given_lock_that_is_missing_is_named(app: Path):
    assert f"{app}/no.lock does not exist" in error(app / "app/pyproject.toml", uvlock=str(app / "no.lock"))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("'lib'", "'lib', 'Requests_X>=2'", "uv.lock is older than {path}: it does not know 'requests-x'"),
        ("'lib', ", "", "uv.lock is older than {path}: it still has 'lib'"),
        ('name = "app"', 'name = "new"', "uv.lock is older than {path}: it knows 'app', which is now 'new'"),
    ],
)
def test_a_stale_lock_is_refused(app: Path, old: str, new: str, why: str):
    path = app / "app/pyproject.toml"
    path.write_text(path.read_text().replace(old, new))
    said = error(path)
    assert why.format(path=path) in said
    assert f"run `uv lock` in {app}/app" in said


def test_dependencies_of_a_build_backend_and_of_extras_are_not_called_stale(workspace):
    more = '[project.optional-dependencies]\nx = ["lib", "app[y]"]\ny = []\n' + sources(lib='{ path = "../lib" }')
    root = workspace({**at("app", project("app", (), more)), **LIBS})
    assert places(read(root / "app/pyproject.toml")) == ["pyproject.toml", "uv.lock"]
    path = root / "app/pyproject.toml"
    path.write_text(path.read_text().replace("dependencies = []", 'dynamic = ["dependencies"]'))
    read(path)


def test_a_lock_above_that_does_not_know_the_project_is_refused(workspace):
    root = workspace({**at("", project("outer")), **at("inner", project("inner"))}, "")
    said = error(root / "inner/pyproject.toml")
    assert f"{root}/uv.lock does not have the project 'inner'" in said


def test_a_lock_of_another_version_is_refused(app: Path):
    lock = app / "app/uv.lock"
    lock.write_text(lock.read_text().replace("version = 1", "version = 9", 1))
    assert "version = 9" in error(app / "app/pyproject.toml")


def test_a_missing_local_package_is_named(app: Path):
    (app / "lib").rename(app / "gone")
    assert f"{app}/lib does not exist" in error(app / "app/pyproject.toml")


def test_a_missing_member_is_named(workspace):
    root = workspace(workspace_tree(), "")
    (root / "packages/c/pyproject.toml").unlink()
    said = error(root / "pyproject.toml")
    assert f"{root}/packages/c/pyproject.toml does not exist" in said
    assert "uv lock" in said


def test_an_absolute_place_is_refused(workspace, make_tree):
    lib = make_tree(at("lib", project("lib")), "elsewhere") / "lib"
    root = workspace(at("app", project("app", ("lib",), sources(lib=f'{{ path = "{lib}" }}'))))
    assert f"has 'lib' at {lib}, a place that no image has" in error(root / "app/pyproject.toml")


def test_a_project_without_a_build_system_cannot_be_installed(workspace):
    root = workspace(at("app", project("app", build="")))
    said = error(root / "app/pyproject.toml", project_install_mode="install_project")
    assert "has no [build-system]" in said


@pytest.mark.parametrize("name", ["app", "app/setup.cfg"])
def test_another_file_than_a_pyproject_is_refused(app: Path, name: str):
    assert f"with_uv_project('{app}/app/pyproject.toml')" in error(app / name)


@pytest.mark.parametrize("file", ["pyproject.toml", "uv.lock"])
def test_broken_toml_names_the_file(app: Path, file: str):
    (app / "app" / file).write_text("[")
    assert f"{app}/app/{file} is not valid TOML" in error(app / "app/pyproject.toml", SpecError)


@pytest.mark.parametrize("file", ["pyproject.toml", "uv.lock", "uv.toml"])
def test_credentials_are_refused_and_never_shown(app: Path, file: str):
    path = app / "app" / file
    text = path.read_text() if path.exists() else ""
    comment = "" if file == "uv.lock" else "# https://in:comments@h"
    path.write_text(f'{text}{comment}\n[[tool.uv.index]]\nurl = "https://user:hunter2@h/simple"\n')
    said = error(app / "app/pyproject.toml", SecretError)
    assert f"{file}, line {path.read_text().count(chr(10))}:" in said
    assert "://***@h/simple" in said
    assert "UV_INDEX_PRIVATE_PASSWORD" in said
    assert "hunter2" not in said


def test_a_lock_of_any_shape_is_an_error_of_ours_or_none(app: Path):
    for text in ("", "version = 1", "version = 1\npackage = 3", 'version = 1\n[[package]]\nname = 3\nsource = "x"\n'):
        (app / "app/uv.lock").write_text(text)
        error(app / "app/pyproject.toml")
