"""Images assembled without a container, pushed to a real registry and run by a real engine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.errors import BuilderUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Forge


def on(forge: Forge, builder: str, *, docker: bool = True, cache: Path | None = None) -> Forge:
    """A forge with another builder, without the docker command, or on a machine that has nothing."""
    environ = dict(forge.environ)
    if not docker:
        environ |= {"PATH": "/nonexistent", "DOCKER_HOST": "tcp://127.0.0.1:9"}
    if cache is not None:
        environ["IMAGEBUILDER_CACHE_DIR"] = str(cache)
    return replace(forge, environ=environ, flags={"builder": builder}, events=[])


def warnings(forge: Forge) -> list[str]:
    return [event.message for event in forge.events if isinstance(event, Warning)]


@pytest.fixture
def code(tree: Any) -> Path:
    tree.file("code/main.py", "print('one')\n")
    folder: Path = tree.root / "code"
    return folder


@pytest.mark.parametrize("builder", ["direct", "auto"])
def test_no_docker_at_all(forge: Forge, code: Path, builder: str) -> None:
    image = (
        Image.from_debian_base("3.11", name=forge.name(f"no-docker-{builder}"), registry=forge.registry)
        .with_pip_packages("black==24.10.0", "zope.interface==7.2")
        .with_source_folder(code, "/app/code")
    )
    alone = on(forge, builder, docker=False)
    uri = alone.build_one(image).uri
    assert warnings(alone) == []
    assert forge.sh(uri, "python code/main.py; black --version").startswith("one\nblack, 24.10.0")
    script = (
        "import importlib.metadata as m, json, zope.interface\n"
        "d = m.distribution('black')\n"
        "print(json.dumps([d.version, d.read_text('INSTALLER'), sorted(e.name for e in d.entry_points),"
        " all(f.locate().exists() for f in d.files)]))"
    )
    found = json.loads(forge.run(uri, "python", "-c", script))
    assert found == ["24.10.0", "imagebuilder", ["black", "black", "blackd"], True]


def test_what_must_run_says_so_without_docker(forge: Forge) -> None:
    image = Image.from_debian_base("3.11", name=forge.name("must-run"), registry=forge.registry)
    with pytest.raises(NotDirectError, match="apt-get install tree must run"):
        on(forge, "direct").build_one(image.with_apt_packages("tree"))
    with pytest.raises(BuilderUnavailableError):
        on(forge, "auto", docker=False).build_one(image.with_apt_packages("tree"))


def test_a_code_change_never_starts_buildkit(forge: Forge, code: Path, tmp_path: Path) -> None:
    image = (
        Image.from_debian_base("3.11", name=forge.name("divided"), registry=forge.registry)
        .with_apt_packages("tree")
        .with_pip_packages("click==8.1.7")
        .with_source_folder(code, "/app/code")
    )
    first = on(forge, "auto")
    assert forge.sh(first.build_one(image).uri, "python code/main.py; command -v tree") == "one\n/usr/bin/tree\n"
    (code / "main.py").write_text("print('two')\n")
    second = on(forge, "auto", docker=False)
    result = second.build_one(image)
    assert forge.sh(result.uri, "python code/main.py; command -v tree") == "two\n/usr/bin/tree\n"
    assert result.bytes_uploaded < 20_000
    # Nor on a machine that has nothing, nor for another package.
    third = on(forge, "auto", docker=False, cache=tmp_path / "empty")
    more = third.build_one(image.with_pip_packages("idna==3.10"))
    assert forge.sh(more.uri, "python code/main.py; python -c 'import idna; print(idna.__version__)'") == "two\n3.10\n"
    assert warnings(first) == warnings(second) == warnings(third) == []


def test_options_that_only_an_installer_understands(forge: Forge, code: Path, tmp_path: Path) -> None:
    """That layer is built by BuildKit; what is above it still never starts it again, on any machine."""
    image = (
        Image.from_debian_base("3.11", name=forge.name("options"), registry=forge.registry)
        .with_pip_packages("idna==3.10", extra_args="--no-build-isolation")
        .with_source_folder(code, "/app/code")
    )
    first = on(forge, "auto")
    check = "python code/main.py; python -c 'import idna; print(idna.__version__)'"
    assert forge.sh(first.build_one(image).uri, check) == "one\n3.10\n"
    (message,) = warnings(first)
    assert message.startswith("layer 1 is built by BuildKit: layer 1, pip packages idna==3.10: extra_args has")
    (code / "main.py").write_text("print('two')\n")
    second = on(forge, "auto", docker=False, cache=tmp_path / "empty")
    assert forge.sh(second.build_one(image).uri, check) == "two\n3.10\n"


def test_for_another_machine(forge: Forge, code: Path) -> None:
    """Wheels of arm64, chosen and put together on whatever this is."""
    image = Image.from_debian_base(
        "3.11", name=forge.name("arm64"), registry=forge.registry, platform=["linux/amd64", "linux/arm64"]
    )
    alone = on(forge, "direct", docker=False)
    uri = alone.build_one(image.with_pip_packages("zope.interface==7.2").with_source_folder(code, "/app/code")).uri
    manifests = {item["platform"]["architecture"]: item["digest"] for item in forge.manifest(uri)["manifests"]}
    assert set(manifests) == {"amd64", "arm64"}
    pinned = f"{uri.partition('@')[0].rpartition(':')[0]}@{manifests['arm64']}"
    names = [name for layer in forge.layers(pinned) for name in forge.paths(layer)]
    modules = [name for name in names if name.endswith(".so") and "zope/interface" in name]
    assert [name.rpartition(".cpython-311-")[2] for name in modules] == ["aarch64-linux-gnu.so"]
    assert forge.sh(uri, "python code/main.py") == "one\n"


def test_the_same_digest_from_two_machines(forge: Forge, code: Path, tmp_path: Path) -> None:
    image = (
        Image.from_debian_base("3.11", name=forge.name("twice"), registry=forge.registry)
        .with_pip_packages("click==8.1.7")
        .with_source_folder(code, "/app/code")
    )
    digests = {
        on(forge, "direct", cache=tmp_path / str(number)).build_one(image, force=True).digest for number in range(2)
    }
    assert len(digests) == 1


def test_a_base_elsewhere_is_streamed(forge: Forge, code: Path) -> None:
    """To a registry that has nothing of the base."""
    other = forge.environ.get("IMAGEBUILDER_TEST_REGISTRY_2")
    if not other:
        pytest.skip("there is one registry")
    image = Image.from_debian_base("3.11", name=forge.name("elsewhere"), registry=other)
    result = on(forge, "direct", docker=False).build_one(image.with_source_folder(code, "/app/code"))
    assert forge.sh(result.uri, "python code/main.py") == "one\n"
