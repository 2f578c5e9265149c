"""`explain` says which part differs, and why; an image's labels say what it was made from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder import Image
from imagebuilder.identity.explain import explain
from imagebuilder.identity.identifier import identify
from imagebuilder.identity.labels import FILES, LAYERS, Recorded, from_labels, record, to_labels
from imagebuilder.identity.recipe import Recipe, recipe
from imagebuilder.sources import Sources
from imagebuilder.sources.read import read_materials

if TYPE_CHECKING:
    from pathlib import Path

BASE = Image.from_debian_base("3.11")


def recorded(image: Image, chosen: Recipe | None = None) -> Recorded:
    chosen = chosen or recipe()
    with Sources() as sources:
        materials = read_materials(image, sources, chosen.python_for)
    return record(image, identify(image, materials, chosen), materials)


def told(old: Image, new: Image) -> list[str]:
    return explain(recorded(old), recorded(new), old, new)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_code/app").mkdir(parents=True)
    for name in ("main.py", "old.py", "same.py"):
        (tmp_path / "my_code/app" / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_same_image():
    assert told(BASE, BASE.clone(name="x", registry="ghcr.io/y")) == []


def test_a_changed_file(here):
    image = BASE.with_apt_packages("git").with_env_vars({"A": "1"}).with_source_folder("my_code", "/app")
    before = recorded(image)
    (here / "my_code/app/main.py").write_text("other")
    assert explain(before, recorded(image), image, image) == ["layer 3, source folder ./my_code: app/main.py changed"]


def test_added_and_removed_files(here):
    image = BASE.with_source_folder("my_code", "/app")
    before = recorded(image)
    (here / "my_code/app/old.py").unlink()
    (here / "my_code/new.py").write_text("new")
    (here / "my_code/app/main.py").chmod(0o755)
    assert explain(before, recorded(image), image, image) == [
        "layer 1, source folder ./my_code: app/main.py changed, app/old.py removed, new.py added"
    ]


def test_many_changed_files_are_counted(here):
    image = BASE.with_source_folder("my_code", "/app")
    before = recorded(image)
    for number in range(9):
        (here / f"my_code/n{number}.py").write_text("new")
    (line,) = explain(before, recorded(image), image, image)
    assert line.endswith("n4.py added, and 4 more")


def test_a_changed_destination(here):
    old, new = BASE.with_source_folder("my_code", "/a"), BASE.with_source_folder("my_code", "/b")
    assert told(old, new) == ['layer 1, source folder ./my_code: "/a" became "/b"']


def test_a_place_relative_to_another_working_directory(here):
    old, new = (BASE.with_workdir(path).with_source_folder("my_code", "code") for path in ("/a", "/b"))
    assert told(old, new) == [
        'layer 1, workdir /b: "/a" became "/b"',
        "layer 2, source folder ./my_code: the working directory it is relative to changed",
    ]


def test_changed_files_and_settings_are_both_told(here):
    old, new = BASE.with_source_folder("my_code", "/a"), BASE.with_source_folder("my_code", "/b")
    before = recorded(old)
    (here / "my_code/app/main.py").write_text("other")
    assert explain(before, recorded(new), old, new) == [
        'layer 1, source folder ./my_code: "/a" became "/b", app/main.py changed'
    ]


def test_a_changed_layer():
    assert told(BASE.with_pip_packages("a"), BASE.with_pip_packages("b")) == [
        "layer 1, pip packages b: added b, removed a"
    ]


def test_changed_options():
    assert told(BASE.with_pip_packages("a"), BASE.with_pip_packages("a", pre=True)) == [
        "layer 1, pip packages a: pre false became true"
    ]
    old = BASE.with_pip_packages("a", index_url="https://me:secret@one.example/simple", secret_mounts="TOKEN")
    new = BASE.with_pip_packages("a", index_url="https://me:secret@two.example/simple", extra_args="--no-deps -v")
    (line,) = told(old, new)
    assert line == (
        "layer 1, pip packages a: index_url https://***@one.example/simple became https://***@two.example/simple, "
        'extra_args none became ["--no-deps", "-v"], removed Secret(\'TOKEN\')'
    )


@pytest.mark.parametrize(
    ("method", "old", "new", "words"),
    [
        (Image.with_env_vars, {"MODE": "fast"}, {"MODE": "slow"}, 'env vars MODE: MODE: "fast" became "slow"'),
        (Image.with_env_vars, {"A": "1"}, {"B": "a b"}, 'env vars B: A removed, B="a b" added'),
        (
            Image.with_env_vars,
            {"URL": "https://me:secret@host/a"},
            {"URL": "https://me:other@host/b"},
            'env vars URL: URL: "https://***@host/a" became "https://***@host/b"',
        ),
        (
            Image.with_env_vars,
            {"URL": "https://me:secret@host/a"},
            {"URL": "https://me:other@host/a"},
            'env vars URL: URL: "https://***@host/a" changed in what is not shown',
        ),
        (Image.with_env_vars, {"A": "x" * 200}, {"A": "é"}, f'env vars A: A: "{"x" * 77}…" became "é"'),
        (Image.with_labels, {"a": "1"}, {"a": "2"}, 'labels a: a: "1" became "2"'),
        (Image.with_pip_packages, ["numpy==1"], ["numpy==2", "pandas"], "numpy==1 became numpy==2, added pandas"),
        (Image.with_pip_packages, ["a", "b"], ["b", "a"], "the order of the packages changed"),
        (Image.with_apt_packages, ["git", "curl=1"], ["curl=2"], "curl=1 became curl=2, removed git"),
        (Image.with_commands, ["make", "a"], ["make", "b"], '"a" became "b"'),
        (Image.with_commands, ["make"], ["make", "b"], 'commands make (and 1 more): added "b"'),
        (Image.with_entrypoint, ["a"], ["a", "b"], '["a"] became ["a", "b"]'),
        (Image.with_workdir, "/a", "/b", 'workdir /b: "/a" became "/b"'),
        (Image.with_user, "a", "b", 'name "a" became "b"'),
    ],
)
def test_what_became_of_a_layers_settings(method, old, new, words):
    (line,) = told(method(BASE, old), method(BASE, new))
    assert line.startswith("layer 1, ")
    assert line.endswith(words)


def test_added_and_removed_layers():
    old = BASE.with_apt_packages("git").with_commands(["make"])
    new = BASE.with_apt_packages("git").with_pip_packages("numpy").with_commands(["make"])
    assert told(old, new) == ["layer 2, pip packages numpy: added"]
    assert told(new, old) == ["layer 2, pip packages numpy: removed"]


def test_a_layer_in_place_of_another():
    assert told(BASE.with_apt_packages("git"), BASE.with_commands(["make"])) == [
        "layer 1, commands make: added",
        "layer 1, apt packages git: removed",
    ]


def test_a_moved_layer():
    old = BASE.with_apt_packages("git").with_pip_packages("numpy").with_commands(["make"])
    new = BASE.with_commands(["make"]).with_apt_packages("git").with_pip_packages("numpy")
    assert told(old, new) == ["layer 1, commands make: moved, it was layer 3"]


def test_the_python_version():
    assert told(BASE, BASE.clone(python_version="3.12")) == [
        "debian base with python 3.12: was debian base with python 3.11"
    ]


def test_another_base():
    assert told(BASE, Image.from_base("python:3.11")) == ["base python:3.11: was debian base with python 3.11"]


def test_the_platform():
    assert told(BASE, BASE.clone(platform="linux/arm64,linux/amd64")) == [
        "platform: linux/amd64 became linux/amd64, linux/arm64"
    ]


def test_the_epoch():
    other = Recipe(epoch=2, debian_bases=recipe().debian_bases)
    assert explain(recorded(BASE), recorded(BASE, other)) == ["recipe epoch: 1 became 2"]


def test_several_at_once():
    old = BASE.with_apt_packages("git").with_labels({"a": "1"})
    new = BASE.clone(python_version="3.12", platform="linux/arm64").with_apt_packages("curl").with_labels({"a": "1"})
    assert told(old, new) == [
        "platform: linux/amd64 became linux/arm64",
        "debian base with python 3.12: was debian base with python 3.11",
        "layer 1, apt packages curl: added curl, removed git",
    ]


def test_other_rules():
    old = recorded(BASE)
    (line,) = explain(old, replace(old, identifier="other"))
    assert "different rules" in line


def test_a_pushed_image_tells_by_its_labels_alone(here):
    image = BASE.with_source_folder("my_code", "/app")
    pushed = from_labels(dict(to_labels(recorded(image))))
    (here / "my_code/app/main.py").write_text("other")
    changed = image.clone(python_version="3.12").with_pip_packages("a")
    assert explain(pushed, recorded(changed), None, changed) == [
        "debian base with python 3.12: it changed",
        "layer 1, source folder ./my_code: app/main.py changed",
        "layer 2, pip packages a: added",
    ]
    assert explain(recorded(changed), pushed, changed) == [
        "debian base: it changed",
        "layer 1, source folder: app/main.py changed",
        "layer 2, pip packages a: removed",
    ]


def test_too_many_files_leave_no_names_and_spoil_no_other_layer(here):
    folder = here / "many"
    folder.mkdir()
    for number in range(800):
        (folder / f"file-{number}.txt").write_text("x")
    image = BASE.with_source_folder("many", "/many").with_source_folder("my_code", "/app").with_pip_packages("a")
    labels = dict(to_labels(recorded(image)))
    assert len(labels[FILES]) < 20_000
    pushed = from_labels(labels)
    assert [files is None for files in pushed.files] == [False, True, False, False]
    (folder / "file-7.txt").write_text("y")
    (here / "my_code/app/main.py").write_text("other")
    assert explain(pushed, recorded(image), None, image) == [
        "layer 1, source folder ./many: changed (it has too many files to have their names recorded)",
        "layer 2, source folder ./my_code: app/main.py changed",
    ]


def test_every_golden_spec_is_read_back_from_its_labels(golden_specs):
    for image, materials in golden_specs.values():
        whole = record(image, identify(image, materials, recipe()), materials)
        assert from_labels(dict(to_labels(whole))) == whole


TEXT = st.text(st.characters(exclude_categories=()), max_size=8)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.tuples(TEXT, TEXT), st.none() | st.dictionaries(TEXT, TEXT, max_size=3)), min_size=1),
    st.integers(),
)
def test_labels_round_trip(parts, epoch):
    digests, files = zip(*parts, strict=True)
    whole = Recorded("id", epoch, digests, files, ("linux/amd64", "linux/arm64"))
    labels = to_labels(whole)
    assert [name for name, _ in labels] == sorted(name for name, _ in labels)
    assert all(value.isascii() and "\n" not in value for _, value in labels)
    assert from_labels(dict(labels)) == whole


@pytest.mark.parametrize("value", ["", "{", "[1]", "[[1]]", "[]", "null", '"x"', "{}"])
@pytest.mark.parametrize("name", [LAYERS, FILES])
def test_labels_of_others_are_none(name, value):
    labels = dict(to_labels(recorded(BASE)))
    found = from_labels({**labels, name: value})
    assert found is None or (name == FILES and value == "{}")
    assert from_labels({}) is None


def test_nothing_in_the_labels_depends_on_the_machine(here, tmp_path_factory, monkeypatch):
    image = BASE.with_source_folder("my_code", "/app").with_source_file("my_code/app/main.py")
    before = to_labels(recorded(image))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (here / "my_code").rename(elsewhere / "my_code")
    moved = BASE.with_source_folder(elsewhere / "my_code", "/app").with_source_file(elsewhere / "my_code/app/main.py")
    assert to_labels(recorded(moved)) == before
