"""A real base that gets an update, and images that follow it without being built."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from imagebuilder import Image
from imagebuilder.cli.entry import main
from imagebuilder.registry.copier import copy
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from conftest import Forge, Tree

UPDATE = "echo patched > /etc/patched && useradd --system extra && chmod 700 /srv"


def test_an_image_follows_its_base(
    forge: Forge, tree: Tree, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with forge.config().make_client() as client:

        def publish(source: str, tag: str) -> str:
            target = Reference.parse(f"{forge.registry}/{forge.name('moving-base')}:{tag}")
            copy(client, Reference.parse(source), target, platforms=Image.from_base("x").platforms)
            return str(target)

        base = publish("python:3.11-slim-bookworm", "1")
        before = Image.from_base(base, name=forge.name("base-update"), registry=forge.registry)
        update = forge.build_one(before.with_env_vars({"PATCHED": "yes"}).with_commands([UPDATE]))
        tree.file("code/main.py", "import click, os; print(click.__version__, os.environ['PATCHED'])\n")
        image = (
            Image.from_base(base, name=forge.name("follows"), registry=forge.registry)
            .with_pip_packages("click==8.1.7")
            .with_user("ann")
            .with_source_folder(tree.root / "code", "/app/code")
            .with_workdir("/app/code")
        )
        direct = replace(forge, flags={"builder": "direct"}, events=[])
        first = direct.build_one(image)
        publish(update.uri, "1")

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("IMAGEBUILDER_CACHE_DIR", str(tmp_path / "empty"))
        capfd.readouterr()
        assert main(["rebase", first.uri, "--base", base, "--json"]) == 0
        done = json.loads(capfd.readouterr().out)
    assert (done["uri"], done["pushed"], done["changed"]) == (first.uri, True, True)
    assert done["bytes_uploaded"] < 50_000
    again = replace(forge, flags={"builder": "direct"}, events=[])
    again.environ = {**forge.environ, "IMAGEBUILDER_CACHE_DIR": str(tmp_path / "another")}
    assert again.build_one(image, force=True).digest == done["digest"] != first.digest
    ran = forge.sh(
        f"{first.uri.rpartition(':')[0]}@{done['digest']}", "python main.py; cat /etc/patched; id -un; id extra"
    )
    assert ran.startswith("8.1.7 yes\npatched\nann\nuid=")
