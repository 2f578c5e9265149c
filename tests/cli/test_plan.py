"""`imagebuild plan`: who makes each layer, without making anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from imagebuilder.cli.group import commands

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """
from imagebuilder import Image
image = (
    Image.from_debian_base("3.11", name="app")
    .with_source_folder("code", "/app/code")
    .with_apt_packages("git")
    .with_pip_packages("six")
    .with_env_vars({"A": "1"})
)
files = Image.from_base("python:3.11", name="files").with_pip_packages("six").with_user("root")
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("x = 1\n")
    (tmp_path / "spec.py").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("IMAGEBUILDER_BUILDER", raising=False)
    return tmp_path


def run(*args: str) -> str:
    done = CliRunner().invoke(commands, ["plan", *args], standalone_mode=False, catch_exceptions=False)
    assert not done.exception
    return done.stdout


def test_what_is_below_a_layer_that_runs_goes_with_it(place: Path) -> None:
    (image,) = json.loads(run("spec.py", "--name", "image", "--json"))["images"]
    assert [layer["by"] for layer in image["layers"]] == ["BuildKit"] * 3 + ["assembled"] * 2
    assert image["layers"][2]["reason"] == "it runs apt-get install"
    assert image["layers"][1]["reason"] == "it is below layer 2, which must run"
    assert image["layers"][1]["bytes"] == 6


def test_files_alone_are_assembled(place: Path) -> None:
    text = run("spec.py", "--name", "files")
    assert text.count("assembled") == 3
    assert "BuildKit" not in text


def test_the_chosen_builder_makes_everything(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBUILDER_BUILDER", "buildkit")
    assert "assembled" not in run("spec.py", "--name", "files")
