"""What most images are: a Debian base, packages, sources, settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.events import Finished, Step
from imagebuilder.registry import Client
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Forge

    from imagebuilder.engine import Result

HOSTILE = 'sp ace "quo\'te" $HOME ${PATH:-x} \\ back\\\\slash \\n {"j": [1]} `id` $(id) ünïcode 漢 # ; & | <'
ENV = {"HOSTILE": HOSTILE, "TRAILING": "x\\", "EMPTY": "", "dotted.NAME": "$$", "TAB": "a\tb"}

MAIN = """\
import json, os, sys
import six
print(json.dumps({"argv": sys.argv[1:], "six": six.__name__, "uid": os.getuid(), "python": sys.executable}))
"""


@dataclass
class App:
    image: Image
    result: Result
    inspected: dict[str, Any]
    events: list[Any]


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("my code ünd más")
    (root / "main.py").write_text(MAIN)
    (root / "run me.sh").write_text("#!/bin/sh\necho ran\n")
    (root / "run me.sh").chmod(0o700)
    (root / "secretive.txt").write_text("x")
    (root / "secretive.txt").chmod(0o600)
    (root / "empty" / "folder").mkdir(parents=True)
    (root / "dätä 漢").mkdir(mode=0o700)
    (root / "dätä 漢" / "näme with space.txt").write_text("héllo")
    (root / "link").symlink_to("main.py")
    (root / "dir link").symlink_to("dätä 漢")
    (root / "Dockerfile").write_text("FROM nothing\nRUN false\n")
    (root / ".dockerignore").write_text("*.log\n")
    (root / "noise.log").write_text("x")
    (root / "tools").mkdir()
    (root / "tools" / "uv").write_text("not uv")
    (root / "-dash[1]*?.txt").write_text("glob")
    return root


@pytest.fixture(scope="module")
def app(forge: Forge, code: Path) -> App:
    image = (
        Image.from_debian_base("3.11", name=forge.name("app"), registry=forge.registry)
        .with_pip_packages("six")
        .with_env_vars(ENV)
        .with_labels({"team": HOSTILE})
        .with_source_folder(code, "/app")
        .with_source_folder(code / "tools", "tools")
        .with_source_file(code / "main.py", "/srv/päth with space/")
        .with_source_file(code / "main.py", "/usr/local/bin")
        .with_source_file(code / "secretive.txt", "renamed to this")
        .with_entrypoint("python", "main.py", HOSTILE, "", "$HOME")
    )
    forge.events.clear()
    result = forge.build_one(image)
    return App(image, result, forge.pull(result.uri), list(forge.events))


def test_is_pushed_and_verified(forge: Forge, app: App) -> None:
    result = app.result
    assert (result.built, result.pushed, result.platforms) == (True, True, ("linux/amd64",))
    assert result.uri == f"{forge.registry}/{forge.name('app')}:{result.identifier}" == app.image.uri
    with Client() as client:
        found = client.resolve(Reference.parse(result.uri))
    assert found is not None
    assert found.digest == result.digest
    assert app.inspected["RepoDigests"][0].endswith(f"@{result.digest}")


def test_is_not_built_again(forge: Forge, app: App) -> None:
    again = forge.build_one(app.image)
    assert (again.built, again.digest) == (False, app.result.digest)


def test_runs_as_a_user_with_its_packages(forge: Forge, app: App) -> None:
    said = json.loads(forge.run(app.result.uri))
    assert said == {"argv": [HOSTILE, "", "$HOME"], "six": "six", "uid": 1000, "python": "/opt/venv/bin/python"}


def test_environment_arrives_byte_for_byte(forge: Forge, app: App) -> None:
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    found = json.loads(forge.run(app.result.uri, "python", "-c", script))
    assert {key: found.get(key) for key in ENV} == ENV
    assert found["PATH"].split(":")[0] == "/opt/venv/bin"
    assert found["VIRTUAL_ENV"] == "/opt/venv"
    assert found["HOME"] == "/home/app"
    assert not [key for key in found if "IMAGEBUILDER" in key or key.startswith("UV_")]


def test_labels_and_entrypoint_are_exact(app: App) -> None:
    config = app.inspected["Config"]
    assert config["Labels"]["team"] == HOSTILE
    assert config["Labels"]["io.imagebuilder.identifier"] == app.result.identifier
    assert config["Entrypoint"] == ["python", "main.py", HOSTILE, "", "$HOME"]
    assert not config.get("Cmd")
    assert (config["User"], config["WorkingDir"]) == ("app", "/app")


def test_path_and_user_hold_in_docker_exec(forge: Forge, app: App) -> None:
    container = forge.docker("run", "-d", "--network", "none", "--entrypoint", "sleep", app.result.uri, "60").strip()
    try:
        said = forge.docker("exec", container, "sh", "-c", "command -v python; id -un; pwd; echo ~")
        assert said.split() == ["/opt/venv/bin/python", "app", "/app", "/home/app"]
    finally:
        forge.docker("rm", "--force", container)


def test_files_arrive_as_they_are(forge: Forge, app: App) -> None:
    listing = forge.sh(app.result.uri, "cd /app && find . -printf '%y|%m|%U:%G|%l|%p\\n'")
    found = {line.split("|", 4)[4]: line.split("|", 4)[:4] for line in listing.splitlines()}
    assert found["./main.py"] == ["f", "644", "1000:1000", ""]
    assert found["./run me.sh"] == ["f", "755", "1000:1000", ""]
    assert found["./secretive.txt"] == ["f", "644", "1000:1000", ""]
    assert found["./renamed to this"] == ["f", "644", "1000:1000", ""]
    assert found["./empty/folder"] == ["d", "755", "1000:1000", ""]
    assert found["./dätä 漢"] == ["d", "755", "1000:1000", ""]
    assert found["./dätä 漢/näme with space.txt"] == ["f", "644", "1000:1000", ""]
    assert found["./-dash[1]*?.txt"] == ["f", "644", "1000:1000", ""]
    assert found["./Dockerfile"][0] == "f"
    assert found["./tools/uv"][0] == "f"
    assert found["./link"][::3] == ["l", "main.py"]
    assert found["./dir link"][::3] == ["l", "dätä 漢"]
    assert "./noise.log" not in found
    assert "./.dockerignore" not in found
    assert forge.sh(app.result.uri, "cat '/app/dir link/näme with space.txt'") == "héllo"
    assert forge.sh(app.result.uri, "'/app/run me.sh'; cat /app/tools/uv") == "ran\nnot uv"


def test_single_files_land_where_they_should(forge: Forge, app: App) -> None:
    script = "ls -d '/srv/päth with space/main.py' /usr/local/bin/main.py && stat -c '%U %a' '/srv/päth with space'"
    said = forge.sh(app.result.uri, script)
    assert said.splitlines()[:2] == ["/srv/päth with space/main.py", "/usr/local/bin/main.py"]


def test_every_file_belongs_to_a_user_and_group_that_exist(forge: Forge, app: App) -> None:
    said = forge.docker(
        "run",
        "--rm",
        "--user",
        "root",
        "--entrypoint",
        "find",
        app.result.uri,
        "/",
        "-xdev",
        "(",
        "-nouser",
        "-o",
        "-nogroup",
        ")",
        "-print",
    )
    assert said == ""


def test_nothing_of_the_build_is_left(forge: Forge, app: App) -> None:
    names = [name for layer in forge.own_layers(app.result.uri) for name in forge.paths(layer)]
    names = [name for name in names if "/_tasksdk/" not in name]  # it has the spec of this project
    suspicious = ("imagebuilder", "run/", "tmp/", "root/.", ".cache", "uv_cache", ".lock", "var/log")
    assert [name for name in names if any(part in name for part in suspicious)] == []
    assert "app/tools/uv" in names
    assert [name for name in names if name.rsplit("/", 1)[-1] == "uv" and "app/tools" not in name] == []


def test_events_tell_the_story(app: App) -> None:
    steps = [event for event in app.events if isinstance(event, Step)]
    assert {event.layer for event in steps if event.state in ("done", "cached")} >= {0, 1, 4, 5, 6, 7, 8}
    titles = {event.layer: event.title for event in steps}
    assert titles[1] == "uv pip install six"
    assert isinstance(app.events[-1], Finished)


def test_a_changed_file_uploads_only_its_layer(forge: Forge, tree: Any) -> None:
    tree.file("code/main.py", "print(1)")
    tree.file("big/data.bin", bytes(range(256)) * 8000)

    def image() -> Image:
        return (
            Image.from_debian_base("3.11", name=forge.name("change"), registry=forge.registry)
            .with_pip_packages("six")
            .with_source_folder(tree.root / "big", "/app/big")
            .with_source_folder(tree.root / "code", "/app/code")
        )

    first = forge.build_one(image())
    tree.file("code/main.py", "print(2)")
    second = forge.build_one(image())
    assert first.uri != second.uri
    before, after = (forge.manifest(result.uri)["layers"] for result in (first, second))
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]
    assert second.bytes_uploaded < 20_000
    assert forge.run(second.uri, "python", "/app/code/main.py") == "2\n"


def test_an_edit_under_the_same_identity_is_noticed(forge: Forge, tree: Any) -> None:
    """A file that changes after it was identified must not become a tag that lies."""
    from imagebuilder.errors import SourceChangedError

    path = tree.file("code/main.py", "print(1)")
    image = Image.from_debian_base("3.11", name=forge.name("edited"), registry=forge.registry).with_source_folder(
        tree.root / "code", "/app"
    )
    config = forge.config()
    with config.make_client() as client:
        engine = config.make_engine(client)
        resolver = engine.resolver

        class Edits(type(resolver)):  # type: ignore[misc]
            def identify(self, images: Any) -> Any:
                found = resolver.identify(images)
                path.write_text("print(2)")
                return found

        import dataclasses

        from imagebuilder.outputs.output import Push

        fields = {field.name: getattr(resolver, field.name) for field in dataclasses.fields(resolver)}
        engine = dataclasses.replace(engine, resolver=Edits(**fields))
        uri = image.uri
        with pytest.raises(SourceChangedError, match=r"main\.py changed"):
            engine.ensure([("edited", image)], Push(client))
    assert not forge.exists(f"{forge.registry}/{forge.name('edited')}:{uri.rpartition(':')[2]}")
