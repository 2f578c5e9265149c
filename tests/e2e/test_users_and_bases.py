"""Who runs what, on which base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.errors import BuildError

if TYPE_CHECKING:
    from conftest import Forge

    from imagebuilder.engine import Result


@pytest.fixture(scope="module")
def foreign(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A base of somebody else's that runs as a user of its own."""
    root = tmp_path_factory.mktemp("foreign")
    (root / "Dockerfile").write_text(
        "FROM debian:bookworm-slim\n"
        "RUN useradd --uid 4321 --create-home worker && useradd --uid 77 tester\n"
        'USER worker\nWORKDIR /home/worker\nENV KEPT=yes\nENTRYPOINT ["echo", "base"]\n'
    )
    return forge.build_one(
        Image.from_dockerfile(root / "Dockerfile", name=forge.name("foreign"), registry=forge.registry)
    )


def on(forge: Forge, base: str, what: str) -> Image:
    return Image.from_base(base, name=forge.name(what), registry=forge.registry)


def test_the_bases_user_is_kept(forge: Forge, foreign: Result, tree: Any) -> None:
    tree.file("code/x.txt", "x")
    image = (
        on(forge, foreign.uri, "kept")
        .with_commands(["id -un > /who-built; id -u >> /who-built"])
        .with_source_folder(tree.root / "code")
        .with_env_vars({"MORE": "1"})
    )
    result = forge.build_one(image)
    said = forge.sh(result.uri, "id -un; pwd; cat /who-built; cat code/x.txt; echo; stat -c %U code/x.txt; echo $KEPT")
    assert said.split() == ["worker", "/home/worker", "root", "0", "x", "root", "yes"]
    assert forge.run(result.uri) == "base\n"


def test_files_and_settings_alone_need_no_shell(forge: Forge, tree: Any) -> None:
    """A distroless base, which has no shell, takes files and settings."""
    tree.file("context/hello", "#!nothing")
    dockerfile = tree.file("Dockerfile", "FROM scratch\nCOPY hello /hello\nUSER 65532\n")
    base = Image.from_dockerfile(
        dockerfile, name=forge.name("distroless"), registry=forge.registry, context=tree.root / "context"
    )
    tree.file("code/data.txt", "data")
    base_uri = forge.build_one(base).uri
    image = (
        on(forge, base_uri, "on-distroless")
        .with_source_folder(tree.root / "code", "/data")
        .with_env_vars({"A": "1"})
        .with_workdir("/data/deep")
        .with_source_file(tree.root / "code" / "data.txt", "copy.txt")
        .with_entrypoint("/hello")
    )
    result = forge.build_one(image)
    config = forge.image_config(result.uri)["config"]
    assert (config["User"], config["WorkingDir"], config["Entrypoint"]) == ("65532", "/data/deep", ["/hello"])
    names = {name for layer in forge.layers(result.uri) for name in forge.paths(layer)}
    assert {"hello", "data/data.txt", "data/deep/copy.txt"} <= names


def test_users_that_are_made(forge: Forge, tree: Any) -> None:
    tree.file("code/x.txt", "x")
    image = (
        Image.from_debian_base("3.11", name=forge.name("users"), registry=forge.registry)
        .with_source_folder(tree.root / "code", "/app/before")
        .with_commands(["id -un > /first"])
        .with_user("builder", uid=1234)
        .with_commands(["id -un > /tmp/second; echo ~ > /tmp/home; touch /home/builder/mine"])
        .with_source_folder(tree.root / "code", "/app/after")
        .with_workdir("/work/deep")
        .with_commands(["touch made-in-workdir"])
        .with_user("other")
        .with_source_file(tree.root / "code" / "x.txt", "/etc/x.txt")
    )
    result = forge.build_one(image)
    script = (
        "id -un; pwd; cat /first /tmp/second /tmp/home; id -u builder;"
        "stat -c '%U:%G' /app/before/x.txt /app/after/x.txt /etc/x.txt /work/deep /work/deep/made-in-workdir;"
        "touch ~/writable && echo ok"
    )
    assert forge.sh(result.uri, script).split() == [
        "other",
        "/work/deep",
        "root",
        "builder",
        "/home/builder",
        "1234",
        "app:app",
        "builder:builder",
        "other:other",
        "builder:builder",
        "builder:builder",
        "ok",
    ]


def test_users_that_exist(forge: Forge, foreign: Result) -> None:
    for number, image in enumerate(
        (on(forge, foreign.uri, "x0").with_user("tester"), on(forge, foreign.uri, "x1").with_user("tester", uid=77))
    ):
        result = forge.build_one(image.clone(name=forge.name(f"exists{number}")))
        assert forge.sh(result.uri, "id -un; id -u").split() == ["tester", "77"]


def test_root_where_asked_for(forge: Forge) -> None:
    image = Image.from_debian_base("3.11", name=forge.name("root"), registry=forge.registry)
    result = forge.build_one(image.with_user("root").with_commands(["id -un > /who"]))
    assert forge.sh(result.uri, "id -un; cat /who").split() == ["root", "root"]


def test_a_user_with_another_uid_is_refused(forge: Forge, foreign: Result) -> None:
    with pytest.raises(BuildError, match="user tester exists in the base with uid 77, not 78"):
        forge.build_one(on(forge, foreign.uri, "mismatch").with_user("tester", uid=78))


def test_a_uid_that_somebody_else_has_is_refused(forge: Forge, foreign: Result) -> None:
    with pytest.raises(BuildError, match="77"):
        forge.build_one(on(forge, foreign.uri, "taken").with_user("newcomer", uid=77))


def test_apt_packages_and_commands(forge: Forge) -> None:
    image = (
        Image.from_debian_base("3.11", name=forge.name("apt"), registry=forge.registry)
        .with_apt_packages("tree")
        .with_commands(
            ["tree --version > /version\necho 'two\nlines' \"$HOME\" '$literal' > /lines", "test -s /version"]
        )
    )
    result = forge.build_one(image)
    assert forge.sh(result.uri, "cat /lines; command -v tree") == "two\nlines /root $literal\n/usr/bin/tree\n"
    names = [name for layer in forge.own_layers(result.uri) for name in forge.paths(layer)]
    bad = ("var/lib/apt/lists/", "var/cache/apt/archives/", "var/log/", "run/imagebuilder")
    assert [name for name in names if any(part in name and not name.endswith(part.rstrip("/")) for part in bad)] == []


def test_a_dockerfile_of_ones_own(forge: Forge, tree: Any) -> None:
    tree.file(
        "docker/My Dockerfile", 'FROM debian:bookworm-slim\nARG SOURCE_DATE_EPOCH\nCOPY . /all\nCMD ["ls", "/all"]\n'
    )
    tree.file("context/kept.txt")
    tree.file("context/sub dir/ünï.txt")
    tree.file("context/dropped.log")
    tree.file("context/.dockerignore", "*.log\n.dockerignore\n")
    image = Image.from_dockerfile(
        tree.root / "docker" / "My Dockerfile",
        forge.registry,
        forge.name("dockerfile"),
        context=tree.root / "context",
    )
    result = forge.build_one(image)
    assert forge.run(result.uri).split("\n")[:-1] == ["kept.txt", "sub dir"]
    tree.file("context/kept.txt", "changed")
    again = forge.build_one(image)
    assert again.identifier != result.identifier
    assert forge.sh(again.uri, "cat /all/kept.txt") == "changed"


def test_a_base_that_does_not_exist_is_named(forge: Forge) -> None:
    absent = f"{forge.registry}/no/such/base:1"
    with pytest.raises(BuildError, match="no/such/base:1") as caught:
        forge.build_one(on(forge, absent, "absent").with_env_vars({"A": "1"}))
    assert caught.value.exit_code == 1
    assert "check the base image's name" in (caught.value.hint or "")
