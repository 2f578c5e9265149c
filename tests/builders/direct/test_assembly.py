"""Files, settings and users on bases of all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.events import Step
from imagebuilder.cache.kinds import BASES, FACTS, IMAGES
from imagebuilder.errors import BuildError, RegistryError
from imagebuilder.outputs.output import Push
from imagebuilder.registry import Manifest
from imagebuilder.registry.memory.server import MemoryRegistry
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

from .bases import AMD64, DEBIAN, OCI, tar_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_of_a_user_on_a_debian_base(bench: Any, code: Path) -> None:
    base = bench.base(DEBIAN, name="library/python", Env=["PATH=/usr/bin:/bin", "PYTHON_VERSION=3.11.4"])
    bench.registry.contents.repository("library/python").tags["3.11-slim-bookworm"] = (
        bench.registry.contents.repository("library/python").tags["1"]
    )
    assert base
    made = bench.build(Image.from_debian_base("3.11", install_sdk=False).with_source_folder(code, "/app/code"))
    assert made.owner("app/code/main.py") == (0o644, 1000, 1000)
    assert made.owner("app/code/deep/run.sh") == (0o755, 1000, 1000)
    assert made.tree["app/code/link"].linkname == "deep"
    assert made.owner("app") == made.owner("home/app") == (0o755, 1000, 1000)
    assert made.content["home/app/.profile"] == b"profile\n"
    assert made.content["etc/passwd"].decode() == PASSWD + "app:*:1000:1000::/home/app:/bin/sh\n"
    assert made.content["etc/group"].decode() == "root:x:0:\nusers:x:100:\napp:x:1000:\n"
    assert made.tree["opt/venv/bin/python"].linkname == "/usr/bin/python3"
    assert b"version_info = 3.11.4\n" in made.content["opt/venv/pyvenv.cfg"]
    assert (made.run["User"], made.run["WorkingDir"]) == ("app", "/app")
    assert made.run["Env"] == ["PATH=/opt/venv/bin:/usr/bin:/bin", "PYTHON_VERSION=3.11.4", "VIRTUAL_ENV=/opt/venv"]


PASSWD = DEBIAN["etc/passwd"]


def test_every_layer_says_again_what_folders_above_are(bench: Any, code: Path) -> None:
    """Docker 20.10 unpacks a layer without what is below it: a folder without an entry would get another mode."""
    image = Image.from_base(bench.base({**DEBIAN, "root/": (0o700, 0, 0), "srv/": (0o2775, 7, 8)}))
    made = bench.build(
        image.with_source_file(code / "main.py", "/tmp/x.py")
        .with_source_file(code / "main.py", "/root/new/x.py")
        .with_source_folder(code, "/srv")
    )
    first, second, third = made.layers[1:]
    assert first["tmp"].mode == 0o1777
    assert (second["root"].mode, second["root/new"].mode) == (0o700, 0o755)
    assert (third["srv"].mode, third["srv"].uid, third["srv"].gid) == (0o2775, 7, 8)


def test_links_among_the_bases_folders_are_followed(bench: Any, code: Path) -> None:
    base = bench.base({**DEBIAN, "real/": None, "real/file": "old", "up": "-> /real", "real/alias": "-> file"})
    made = bench.build(
        Image.from_base(base)
        .with_source_file(code / "main.py", "/lib/x.py")
        .with_source_file(code / "main.py", "/up/alias")
        .with_source_file(code / "main.py", "/up")
        .with_source_folder(code, "/up/code")
        .with_source_folder(code, "/up/code/link")
        .with_workdir("/up/work")
    )
    assert {"usr/lib/x.py", "real/file", "real/main.py", "real/code/main.py", "real/work"} <= made.tree.keys()
    assert made.tree["real/alias"].issym()
    assert made.content["real/file"] == b"print('main')\n"
    assert "real/code/deep/main.py" in made.tree  # through the link that the layer before brought
    assert made.tree["lib"].issym()
    assert made.tree["up"].issym()
    assert not [path for path in made.tree if path.startswith(("lib/", "up/"))]
    assert made.run["WorkingDir"] == "/up/work"


def test_whiteouts_hard_links_and_folders_without_entries(bench: Any, code: Path) -> None:
    base = bench.base(
        {**DEBIAN, "gone/": None, "gone/deep/": (0o700, 5, 5), "a/kept/": None, "a/lower/": None, "is/": None},
        {".wh.gone": b"", "a/.wh..wh..opq": b"", "a/new/": None, "is": "a file now", "implied/deep/file": "x"},
    )
    made = bench.build(
        Image.from_base(base)
        .with_source_file(code / "main.py", "/gone/deep/x.py")
        .with_source_file(code / "main.py", "/a/lower")
        .with_source_file(code / "main.py", "/a/new")
        .with_source_file(code / "main.py", "/is")
        .with_source_file(code / "main.py", "/implied/deep")
    )
    assert made.owner("gone/deep") == (0o755, 0, 0)
    assert made.tree["a/lower"].isreg()
    assert made.tree["is"].isreg()
    assert {"a/new/main.py", "implied/deep/main.py"} <= made.tree.keys()


def test_a_file_where_a_folder_is(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "skel").write_text("x")
    image = Image.from_base(bench.base(DEBIAN)).with_source_folder(tmp_path / "source", "/etc")
    with pytest.raises(BuildError, match=r"app: layer 1, .*: /etc/skel is a folder in the image, and a file is to"):
        bench.build(image)


def test_relative_places_on_a_base_with_its_own(bench: Any, code: Path) -> None:
    base = bench.base({**DEBIAN, "home/w/": (0o700, 7, 8)}, WorkingDir="/home/w", User="7:8")
    made = bench.build(
        Image.from_base(base)
        .with_source_folder(code, "here")
        .with_workdir("inner")
        .with_source_file(code / "main.py", "x.py")
    )
    assert {"home/w/here/main.py", "home/w/inner/x.py"} <= made.tree.keys()
    assert made.owner("home/w") == (0o700, 7, 8)
    # BuildKit makes a WORKDIR for the user at that line, and copies as root.
    assert made.owner("home/w/inner") == (0o755, 7, 8)
    assert made.owner("home/w/here") == (0o755, 0, 0)
    assert (made.run["User"], made.run["WorkingDir"]) == ("7:8", "/home/w/inner")


def test_users(bench: Any, code: Path) -> None:
    base = bench.base(
        {
            **DEBIAN,
            "etc/passwd": PASSWD + "old:x:1005:100::/home/old:/bin/sh",  # no newline at its end
            "home/there/": (0o750, 3, 3),
        }
    )
    made = bench.build(
        Image.from_base(base)
        .with_user("old")
        .with_source_file(code / "main.py", "/a/old.py")
        .with_user("there")
        .with_workdir("/w/there")
        .with_user("given", uid=1234)
        .with_source_file(code / "main.py", "/a/given.py")
    )
    assert made.owner("a/old.py")[1:] == (1005, 100)
    assert made.owner("a/given.py")[1:] == (1234, 1234)
    assert (made.owner("w"), made.owner("w/there")) == ((0o755, 0, 0), (0o755, 1006, 1006))
    assert made.owner("home/there") == (0o750, 3, 3)  # useradd leaves a home that is there
    assert "home/there/.profile" not in made.tree
    lines = made.content["etc/passwd"].decode().splitlines()
    assert lines[2:] == [
        "old:x:1005:100::/home/old:/bin/sh",
        "there:*:1006:1006::/home/there:/bin/sh",
        "given:*:1234:1234::/home/given:/bin/sh",
    ]
    assert made.run["User"] == "given"


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (("nobody", 5), "layer 1, user nobody.*: user nobody exists in the base with uid 65534, not 5"),
        (("fresh", 65534), "layer 1, user fresh.*: uid 65534 is nobody's in the base"),
        (("users", None), "layer 1, user users.*: the base has a group users already"),
    ],
)
def test_users_that_cannot_be(bench: Any, user: tuple[str, int | None], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        bench.build(Image.from_base(bench.base(DEBIAN)).with_user(user[0], uid=user[1]))
    assert [event.state for event in bench.events if isinstance(event, Step)][-1] == "failed"


def test_accounts_that_the_user_brings(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("other:x:5:5::/:/bin/sh\n")
    image = Image.from_base(bench.base(DEBIAN)).with_source_file(tmp_path / "passwd", "/etc/passwd")
    assert bench.build(image).content["etc/passwd"] == b"other:x:5:5::/:/bin/sh\n"
    with pytest.raises(NotDirectError, match="bring accounts of their own"):
        bench.build(image.with_user("someone"))


def test_settings_of_a_config(bench: Any) -> None:
    base = bench.base(
        DEBIAN,
        Env=["A=1", "PATH=/bin", "A=2", "EMPTY="],
        Entrypoint=["base"],
        Cmd=["more"],
        Labels={"kept": "yes", "changed": "no"},
        Volumes={"/data": {}},
        ExposedPorts={"80/tcp": {}},
    )
    image = Image.from_base(base).with_env_vars({"A": "3", "B": '$A "q" \''}).with_labels({"changed": "a b"})
    made = bench.build(image)
    assert made.run["Env"] == ["A=3", "PATH=/bin", "EMPTY=", 'B=$A "q" \'']
    assert (made.run["Entrypoint"], made.run["Cmd"]) == (["base"], ["more"])
    assert made.run["Labels"].items() >= {("kept", "yes"), ("changed", "a b")}
    assert (made.run["Volumes"], made.run["ExposedPorts"]) == ({"/data": {}}, {"80/tcp": {}})
    made = bench.build(image.with_entrypoint(["one", "two"]))
    assert (made.run["Entrypoint"], made.run.get("Cmd")) == (["one", "two"], None)
    made = bench.build(image.with_entrypoint([]))
    assert not {"Entrypoint", "Cmd"} & made.run.keys()


def test_a_base_of_dockers_own_kind(bench: Any, code: Path) -> None:
    """Schema 2, and a config without Env, history or anything else."""
    base = bench.base(DEBIAN, docker=True, container_config={"Cmd": ["x"]}, **{"moby.buildkit.cache.v0": "x"})
    made = bench.build(Image.from_base(base).with_source_folder(code, "/code").with_env_vars({"A": "1"}))
    assert {layer["mediaType"] for layer in made.manifest["layers"]} == {f"{OCI}layer.v1.tar+gzip"}
    assert made.manifest["mediaType"] == f"{OCI}manifest.v1+json"
    assert made.manifest["config"]["mediaType"] == f"{OCI}config.v1+json"
    assert not {"container_config", "moby.buildkit.cache.v0"} & made.config.keys()
    assert made.run["Env"] == ["A=1"]
    assert [entry["created_by"] for entry in made.config["history"]] == ["the base", "copy to /code"]


def test_history_counts_layers(bench: Any, code: Path) -> None:
    history = [{"created_by": "one"}, {"created_by": "env", "empty_layer": True}]
    made = bench.build(
        Image.from_base(bench.base(DEBIAN, {"x": "x"}, history=history)).with_source_folder(code, "/code")
    )
    assert [entry["created_by"] for entry in made.config["history"]] == ["one", "env", "the base", "copy to /code"]


def test_an_empty_base(bench: Any, code: Path) -> None:
    made = bench.build(Image.from_base(bench.base({"hello": "x"}, config=None)).with_source_folder(code, "/code"))
    assert {"hello", "code/main.py"} <= made.tree.keys()


def test_several_platforms(bench: Any, code: Path) -> None:
    base = bench.index(bench.base(DEBIAN, name="one"), bench.base(DEBIAN, {"arm": "x"}, name="two", platform="arm64"))
    image = Image.from_base(base, name="both", platform=["linux/amd64", "linux/arm64"]).with_source_folder(code, "/c")
    bench.build(image)
    repository = bench.registry.contents.repository("both")
    (root,) = repository.tags.values()
    index = Manifest.of(repository.manifests[root][1])
    arm64 = Platform("linux", "arm64")
    assert index.platforms == (AMD64, arm64)
    tag = next(iter(repository.tags))
    made = bench.read(f"{bench.registry.host}/both:{tag}", arm64)
    assert made.config["architecture"] == "arm64"
    assert {"arm", "c/main.py"} <= made.tree.keys()


def test_a_platform_that_the_base_lacks(bench: Any) -> None:
    image = Image.from_base(bench.base(DEBIAN), platform="linux/arm64").with_env_vars({"A": "1"})
    with pytest.raises(BuildError, match=r"the base .*base:1 has no linux/arm64") as caught:
        bench.build(image, bench.auto())
    assert caught.value.hint == "choose one that it has: linux/amd64"
    assert bench.buildkit.requests == []


def test_onbuild_steps_must_run(bench: Any) -> None:
    image = Image.from_base(bench.base(DEBIAN, OnBuild=["RUN x"])).with_env_vars({"A": "1"})
    with pytest.raises(NotDirectError, match="ONBUILD"):
        bench.build(image)


def test_more_layers_than_there_may_be(bench: Any, code: Path) -> None:
    base = bench.base(DEBIAN, *({f"file{number}": str(number)} for number in range(125)))
    image = Image.from_base(base).with_source_folder(code, "/one")
    assert len(bench.build(image).manifest["layers"]) == 127
    with pytest.raises(NotDirectError, match="it would have 128 layers, and 127 are possible"):
        bench.build(image.with_source_folder(code, "/two"))


def test_a_layer_that_cannot_be_read(bench: Any, code: Path) -> None:
    zstd = (b"\x28\xb5\x2f\xfd rest", f"{OCI}layer.v1.tar+zstd")
    image = Image.from_base(bench.base(DEBIAN, raw=(zstd,))).with_source_folder(code, "/code")
    with pytest.raises(RegistryError, match=r"layer sha256:\w+ of .* cannot be read here: .*zstd"):
        bench.build(image)
    broken = bench.base(DEBIAN, raw=((b"\x1f\x8b\x08\x00broken", f"{OCI}layer.v1.tar+gzip"),), name="broken")
    with pytest.raises(RegistryError, match="cannot be read here"):
        bench.build(Image.from_base(broken).with_source_folder(code, "/code"))
    plain = bench.base(DEBIAN, raw=((tar_of({"plain/": None}), f"{OCI}layer.v1.tar"),), name="plain")
    made = bench.build(Image.from_base(plain).with_source_file(code / "main.py", "/plain"))
    assert "plain/main.py" in made.tree


def test_the_base_is_read_once_and_remembered(bench: Any, code: Path) -> None:
    image = Image.from_base(bench.base(DEBIAN)).with_source_folder(code, "/code")
    bench.build(image)
    bench.registry.seen.clear()
    bench.build(image.with_env_vars({"A": "1"}))  # another builder
    # What the tag points to, and nothing of what it has.
    asked = [(seen.method, seen.path) for seen in bench.registry.seen if seen.path.startswith("/v2/base/")]
    assert asked == [("HEAD", "/v2/base/manifests/1")]
    for file in BASES.at(bench.folder / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    for file in FACTS.at(bench.folder / "cache").iterdir():
        file.write_text("{broken")
    bench.build(image.with_env_vars({"A": "2"}))


def test_the_bases_blobs_are_mounted_never_moved(bench: Any, code: Path) -> None:
    base = bench.base(DEBIAN)
    layer = bench.client.manifest(_reference(bench)).layers[0].digest
    bench.build(Image.from_base(base).with_source_folder(code, "/code"))
    bench.registry.seen.clear()
    bench.build(Image.from_base(base, name="other").with_source_folder(code, "/code"))
    assert [seen.path for seen in bench.registry.requests("POST", "mount=") if layer in seen.path]
    assert not [seen for seen in bench.registry.requests("PUT") if layer.removeprefix("sha256:") in seen.path]
    assert not [seen for seen in bench.registry.requests("GET", "/v2/base/") if layer in seen.path]


def test_a_base_of_a_registry_that_is_mirrored_where_the_image_goes_is_mounted_too(bench: Any, code: Path) -> None:
    base = bench.base(DEBIAN, name="library/python", Env=["PATH=/usr/bin:/bin"])
    repository = bench.registry.contents.repository("library/python")
    repository.tags["3.11-slim-bookworm"] = repository.tags["1"]
    (layer,) = bench.client.manifest(Reference.parse(base)).layers
    bench.registry.seen.clear()
    bench.build(Image.from_debian_base("3.11", install_sdk=False).with_source_folder(code, "/code"))
    (mounted,) = [seen.path for seen in bench.registry.requests("POST", "mount=") if layer.digest in seen.path]
    assert "from=library/python" in mounted
    assert not [seen for seen in bench.registry.requests("PUT") if layer.digest in seen.path]


def test_to_another_registry_the_base_is_streamed(bench: Any, code: Path) -> None:
    base = bench.base(DEBIAN)
    with MemoryRegistry() as other:
        image = Image.from_base(base, name="app", registry=other.host).with_source_folder(code, "/code")
        result = bench.engine().ensure([("app", image)], Push(bench.client))[0]
        assert {"etc/passwd", "code/main.py"} <= bench.read(result.uri).tree.keys()
    blobs = IMAGES.at(bench.folder / "cache") / "blobs" / "sha256"
    layer = bench.client.manifest(_reference(bench)).layers[0].digest
    assert not (blobs / layer.removeprefix("sha256:")).exists()


def _reference(bench: Any) -> Any:
    return Reference.parse(f"{bench.registry.host}/base:1")


# Layers and what they inflate to; a change here changes every image.
GOLDEN_LAYERS = [
    "sha256:6f0362435348d76fd9d3e7a23bbc1f95843626711f58e2668b1dc6a76f57d53d",
    "sha256:66373c0f9f0fec1b5fe75d2215080908208e26bf2b38dd39f07cb42ddcac334d",
    "sha256:dd63309db8b03486d7925f53faef534be838bfe5b89f148e2a0dd2d277d3e061",
]
GOLDEN_DIFFS = [
    "sha256:fbb78327bbd5f77524206ac7f3fa11b034c4bbac3b7ed849ae573874b323de0e",
    "sha256:b55a554645ad4e3a401ea00bb51354f374205264bfca9208f93bb4740c29d604",
    "sha256:52c69e99873a7089aedb27e5a8dd4640b3ce3cc5b1e11066406aea1af0645f7b",
]
GOLDEN_CONFIG = {
    "architecture": "amd64",
    "config": {
        "Entrypoint": ["python3", "/golden/main.py"],
        "Env": ["PATH=/usr/bin", "A=1"],
        "User": "someone",
        "WorkingDir": "/work",
    },
    "created": "1980-01-01T00:00:00Z",
    "history": [
        {"comment": "imagebuilder", "created": "1980-01-01T00:00:00Z", "created_by": "copy to /golden"},
        {"comment": "imagebuilder", "created": "1980-01-01T00:00:00Z", "created_by": "user someone"},
        {"comment": "imagebuilder", "created": "1980-01-01T00:00:00Z", "created_by": "folder /work"},
    ],
    "os": "linux",
}


def test_golden(bench: Any, tmp_path: Path) -> None:
    """The same bytes on every machine."""
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "main.py").write_text("print('golden')\n")
    base = bench.base(DEBIAN, raw=(), Env=["PATH=/usr/bin"], User="nobody")
    image = (
        Image.from_base(base, name="golden")
        .with_source_folder(tmp_path / "golden", "/golden")
        .with_user("someone")
        .with_workdir("/work")
        .with_env_vars({"A": "1"})
        .with_entrypoint(["python3", "/golden/main.py"])
    )
    made = bench.build(image)
    del made.run["Labels"]  # the identifier has the registry's port in it
    config = {**made.config, "history": made.config["history"][1:]}
    config["rootfs"] = {"diff_ids": made.config["rootfs"]["diff_ids"][1:]}
    assert [layer["digest"] for layer in made.manifest["layers"][1:]] == GOLDEN_LAYERS
    assert config.pop("rootfs")["diff_ids"] == GOLDEN_DIFFS
    assert config == GOLDEN_CONFIG
