"""Where images go: a registry, Docker, a layout, an archive; and what other tools make of them."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

import oras.client
import pytest
from python_on_whales import DockerClient

from imagebuilder import Image
from imagebuilder.errors import SpecError, UnknownError
from imagebuilder.outputs.docker import Docker
from imagebuilder.outputs.output import Archive, Layout, Load
from imagebuilder.registry import OCILayout

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Forge


@pytest.fixture(scope="module")
def image(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Image:
    root = tmp_path_factory.mktemp("outputs")
    (root / "hello.py").write_text("print('hello')\n")
    made = Image.from_debian_base("3.11", name=forge.name("outputs"), registry=forge.registry)
    return made.with_source_folder(root, "/app").with_entrypoint("python", "hello.py")


def test_load_into_docker(forge: Forge, image: Image) -> None:
    output = Load(Docker(forge.environ))
    local = image.clone(name=forge.name("loaded"))
    result = forge.build(local, output=output)[0]
    assert (result.built, result.pushed) == (True, False)
    assert forge.run(result.uri) == "hello\n"
    assert not forge.exists(result.uri)
    assert forge.build(local, output=output)[0].built is False


def test_an_oci_layout(forge: Forge, image: Image, tmp_path: Path) -> None:
    output = Layout(tmp_path / "images")
    first, second = forge.build(image, image.with_labels({"a": "b"}), output=output)
    layout = OCILayout(tmp_path / "images")
    assert json.loads((tmp_path / "images" / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert {layout.root(result.uri).digest for result in (first, second)} == {first.digest, second.digest}
    seen = set()
    for result in (first, second):
        with layout.open(result.digest or "") as stream:
            manifest = json.load(stream)
        for blob in (manifest["config"], *manifest["layers"]):
            assert layout.size(blob["digest"]) == blob["size"]
            seen.add(blob["digest"])
    blobs = {path.name for path in (tmp_path / "images" / "blobs" / "sha256").iterdir()}
    assert blobs == {digest.removeprefix("sha256:") for digest in (*seen, first.digest or "", second.digest or "")}


def test_a_docker_archive(forge: Forge, image: Image, tmp_path: Path) -> None:
    archived = image.clone(name=forge.name("archived"))
    result = forge.build(archived, output=Archive(tmp_path / "out" / "image.tar"))[0]
    with tarfile.open(tmp_path / "out" / "image.tar") as tar:
        assert tar.getnames()[:3] == ["oci-layout", "index.json", "manifest.json"]
    forge.docker("image", "load", "--input", str(tmp_path / "out" / "image.tar"))
    assert forge.run(result.uri) == "hello\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["image.tar"]


def test_what_an_archive_cannot_hold(forge: Forge, image: Image, tmp_path: Path) -> None:
    output = Archive(tmp_path / "image.tar")
    with pytest.raises(SpecError, match="cannot hold several images"):
        forge.build(image, image.with_labels({"a": "b"}), output=output)
    with pytest.raises(SpecError, match="several platforms"):
        forge.build(image.clone(platform="linux/amd64,linux/arm64"), output=output)
    assert not (tmp_path / "image.tar").exists()


def test_the_same_digest_wherever_it_goes(forge: Forge, image: Image, tmp_path: Path) -> None:
    pushed = forge.build_one(image)
    assert forge.build(image, output=Layout(tmp_path))[0].digest == pushed.digest


def test_other_tools_read_it(forge: Forge, image: Image) -> None:
    result = forge.build_one(image)
    client = oras.client.OrasClient(hostname=forge.registry, insecure=True)
    manifest = client.get_manifest(client.get_container(result.uri))
    assert manifest == forge.manifest(result.uri)
    whales = DockerClient()
    pulled = whales.image.pull(result.uri, quiet=True)
    assert {digest.rpartition("@")[2] for digest in pulled.repo_digests} == {result.digest}
    assert whales.run(result.uri, remove=True, networks=["none"]) == "hello"


def test_two_platforms(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    image = (
        Image.from_debian_base(
            "3.11", name=forge.name("multi"), registry=forge.registry, platform=["linux/amd64", "linux/arm64"]
        )
        .with_pip_packages("six")
        .with_source_file(tmp_path / "x.txt")
    )
    result = forge.build_one(image)
    assert result.platforms == ("linux/amd64", "linux/arm64")
    index = forge.manifest(result.uri)
    assert [child["platform"]["architecture"] for child in index["manifests"]] == ["amd64", "arm64"]
    for architecture, machine in (("amd64", "x86_64"), ("arm64", "aarch64")):
        said = forge.docker(
            "run",
            "--rm",
            "--network",
            "none",
            "--platform",
            f"linux/{architecture}",
            result.uri,
            "python",
            "-c",
            "import platform, six; print(platform.machine())",
        )
        assert said.strip() == machine
        forge.docker("image", "rm", "--force", result.uri)
    assert forge.build_one(image).built is False
    one = forge.build_one(image.clone(platform="linux/arm64"), dry_run=True)
    assert (one.would_build, one.uri == result.uri) == (True, False)


def test_two_cold_builds_have_one_digest(forge: Forge, tree: Any) -> None:
    tree.file("code/x.py", "print(1)")
    image = (
        Image.from_debian_base("3.11", name=forge.name("twice"), registry=forge.registry)
        .with_pip_packages("six==1.16.0", "markupsafe==2.1.5")
        .with_apt_packages("tree")
        .with_commands(["date > /dev/null; mkdir -p /data && touch /data/new"])
        .with_source_folder(tree.root / "code", "/app")
        .with_user("worker", uid=2222)
    )
    first = forge.build_one(image, no_cache=True)
    time_of = tree.file("code/x.py", "print(1)")
    time_of.touch()
    second = forge.build_one(image, no_cache=True, force=True)
    assert first.digest == second.digest
    assert second.built
    assert second.bytes_uploaded < 10_000


def test_a_dry_run_makes_nothing(forge: Forge, image: Image, tmp_path: Path) -> None:
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ["IMAGEBUILDER_CACHE_DIR"] = str(tmp_path / "cache")
    result = made.build_one(image.clone(name=forge.name("dry")), dry_run=True)
    assert (result.would_build, result.built, result.digest) == (True, False, None)
    assert not forge.exists(result.uri)
    assert not list((tmp_path / "cache").glob("images-*"))
    assert made.events == []


def test_a_plain_base_is_there_or_not(forge: Forge) -> None:
    there = Image.from_base(f"{forge.registry}/library/debian:bookworm-slim")
    result = forge.build_one(there)
    assert (result.built, result.uri) == (False, there.base.reference)  # type: ignore[union-attr]
    with pytest.raises(UnknownError, match="does not exist"):
        forge.build_one(Image.from_base(f"{forge.registry}/library/absent:1"))


def test_an_image_that_two_names_share_is_built_once(forge: Forge, image: Image) -> None:
    forge.events.clear()
    base = image.with_labels({"shared": forge.run_id})
    one, two, same = (
        base.clone(name=forge.name("one")),
        base.clone(name=forge.name("two")),
        base.clone(name=forge.name("one")),
    )
    results = forge.build(one, two, same)
    assert len({result.digest for result in results}) == 1
    assert len({result.uri for result in results}) == 2
    assert {result.name for result in results} == {forge.name("one"), forge.name("two")}
    assert {event.image for event in forge.events if type(event).__name__ == "Step"} == {forge.name("one")}
