"""What machines share through a registry: layers without wheels, and nothing that is not what it says."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct import fetched
from imagebuilder.builders.direct.registry_map import DIFF_ID, KEY
from imagebuilder.builders.events import Warning  # noqa: A004 - the design's event
from imagebuilder.cache.kinds import IMAGES, WHEELS
from imagebuilder.outputs.output import Layout, Push
from imagebuilder.registry.descriptor import sha256
from imagebuilder.registry.media_types import OCI_CONFIG, OCI_MANIFEST
from imagebuilder.registry.memory.fault import Fault
from imagebuilder.registry.memory.server import MemoryRegistry

from .bases import DEBIAN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENV = ["PATH=/usr/bin:/bin"]


class Machines:
    """One that fills the shared cache, and others that have nothing."""

    def __init__(self, bench: Any, image: Image) -> None:
        self.bench = bench
        self.image = image
        self.count = 0
        bench.shares = "write"
        self.first = bench.build(image)
        assert self.warnings() == []
        self.cache = bench.registry.contents.repository("cache")

    def warnings(self) -> list[str]:
        return [event.message for event in self.bench.events if isinstance(event, Warning)]

    def empty(self, image: Image | None = None, *, shares: str | None = "read") -> Any:
        """What a machine that has nothing makes."""
        self.count += 1
        self.bench.folder = self.bench.folder.parent / f"machine-{self.count}"
        self.bench.folder.mkdir()
        self.bench.events.clear()
        self.bench.registry.seen.clear()
        self.bench.shares = shares
        return self.bench.build(image or self.image)

    def wheels(self) -> set[str]:
        """The projects whose wheels were fetched."""
        return {path.name.split("-")[0] for path in WHEELS.at(self.bench.folder / "cache").rglob("*.whl")}

    def tags(self, kind: str) -> list[str]:
        return sorted(tag for tag in self.cache.tags if tag.startswith(f"{kind}-"))

    def document(self, tag: str) -> dict[str, Any]:
        found = json.loads(self.cache.manifests[self.cache.tags[tag]][1])
        assert isinstance(found, dict)
        return found

    def bend(self, tag: str, document: dict[str, Any], media_type: str = OCI_MANIFEST) -> None:
        raw = json.dumps(document).encode()
        self.cache.manifests[sha256(raw)] = (media_type, raw)
        self.cache.tags[tag] = sha256(raw)

    def put(self, content: bytes) -> dict[str, Any]:
        self.cache.blobs[sha256(content)] = content
        return {"digest": sha256(content), "size": len(content)}


@pytest.fixture
def machines(bench: Any, make_wheel: Any, tmp_path: Path) -> Machines:
    bench.folder = tmp_path / "writer"
    bench.folder.mkdir()
    wheels = [make_wheel(name) for name in ("demo", "other", "third")]
    return Machines(bench, Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(*wheels))


def own_layers(made: Any) -> list[str]:
    return [layer["digest"] for layer in made.manifest["layers"][1:]]


def test_an_empty_machine_moves_no_wheel(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "Fetcher", None)
    made = machines.empty(machines.image.with_env_vars({"A": "1"}))
    assert own_layers(made) == own_layers(machines.first)
    assert machines.warnings() == []
    shared = set(own_layers(made)[1:])  # the first is the environment's skeleton
    moved = [
        seen
        for seen in machines.bench.registry.seen
        if (seen.method == "GET" and "/v2/cache/" in seen.path) or seen.method in ("PUT", "PATCH")
        if any(digest in seen.path for digest in shared)
    ]
    assert moved == []
    blobs = IMAGES.at(machines.bench.folder / "cache") / "blobs" / "sha256"
    assert not any((blobs / digest.removeprefix("sha256:")).exists() for digest in shared)
    # Nor is the base read through: what is in it is shared too.
    base = machines.bench.client.manifest(_reference(machines.bench)).layers[0].digest
    assert not [seen for seen in machines.bench.registry.requests("GET", "/v2/base/") if base in seen.path]
    # The second time the layers are known by name, and only looked for.
    machines.bench.registry.seen.clear()
    machines.bench.build(machines.image.with_env_vars({"A": "2"}))
    assert not [seen for seen in machines.bench.registry.requests("GET") if seen.path.startswith("/v2/cache/manifests")]


def test_the_same_image_with_and_without(machines: Machines) -> None:
    assert machines.empty().digest == machines.empty(shares=None).digest == machines.first.digest
    assert machines.wheels() == {"demo", "other", "third"}


def test_a_package_more_is_fetched_with_those_that_share_its_layer(machines: Machines, make_wheel: Any) -> None:
    more = machines.image.with_wheels(make_wheel("fourth"))
    made = machines.empty(more)
    assert "fourth" in machines.wheels()
    assert machines.wheels() < {"demo", "other", "third", "fourth"}
    assert machines.warnings() == []
    assert machines.empty(more, shares=None).digest == made.digest


def test_who_may_not_write_writes_nothing(bench: Any, make_wheel: Any) -> None:
    bench.shares = "read"
    bench.build(Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo")))
    assert bench.registry.contents.repository("cache").tags == {}
    assert not [seen for seen in bench.registry.seen if seen.method in ("PUT", "POST") and "/v2/cache/" in seen.path]


def test_a_second_writer_writes_only_what_is_missing(machines: Machines, make_wheel: Any) -> None:
    before = dict(machines.cache.tags)
    machines.empty(shares="write")
    assert machines.cache.tags == before
    assert not [seen for seen in machines.bench.registry.requests("PUT") if "/v2/cache/" in seen.path]
    tag = machines.tags("layer")[0]
    del machines.cache.tags[tag]
    machines.empty(machines.image.with_wheels(make_wheel("fourth")), shares="write")
    assert len(machines.tags("outline")) == 4
    machines.empty(shares="write")
    assert machines.cache.tags.items() >= before.items()


def test_without_bytecode_where_there_is_none(bench: Any, make_wheel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel of data alone compiles to nothing, and that is known too."""
    wheel = make_wheel("data")
    monkeypatch.setattr("imagebuilder.layers.bytecode._modules", lambda *_: iter(()))
    machines = Machines(bench, Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(wheel))
    monkeypatch.setattr(fetched, "Fetcher", None)
    assert machines.empty().digest == machines.first.digest
    assert len(machines.tags("layer")) == 2


def _first(machines: Machines) -> tuple[str, dict[str, Any]]:
    for tag in machines.tags("layer"):
        document = machines.document(tag)
        if document["annotations"].get(DIFF_ID):
            return tag, document
    raise AssertionError("there is no layer")


def another_digest(machines: Machines) -> None:
    tag, document = _first(machines)
    document["layers"][0].update(machines.put(b"something else"))
    machines.bend(tag, document)


def another_layer_of_ours(machines: Machines) -> None:
    documents = [machines.document(tag) for tag in machines.tags("layer")]
    tag, document = _first(machines)
    document["layers"] = next(other["layers"] for other in documents if other["layers"] != document["layers"])
    machines.bend(tag, document)


def another_diff_id(machines: Machines) -> None:
    tag, document = _first(machines)
    document["annotations"][DIFF_ID] = sha256(b"other")
    machines.bend(tag, document)


def no_diff_id(machines: Machines) -> None:
    tag, document = _first(machines)
    del document["annotations"][DIFF_ID]
    machines.bend(tag, document)


def another_size(machines: Machines) -> None:
    tag, document = _first(machines)
    document["layers"][0]["size"] += 1
    machines.bend(tag, document)


def another_size_everywhere(machines: Machines) -> None:
    tag, document = _first(machines)
    document["layers"][0]["size"] += 1
    config = json.loads(base64.b64decode(document["config"]["data"]))
    config["config"]["Labels"]["io.imagebuilder.layer-size"] = str(document["layers"][0]["size"])
    _replace_config(machines, document, config)
    machines.bend(tag, document)


def a_blob_that_is_gone(machines: Machines) -> None:
    _, document = _first(machines)
    del machines.cache.blobs[document["layers"][0]["digest"]]


def another_media_type(machines: Machines) -> None:
    tag, document = _first(machines)
    document["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    machines.bend(tag, document)


def two_layers(machines: Machines) -> None:
    tag, document = _first(machines)
    document["layers"] *= 2
    machines.bend(tag, document)


def another_key(machines: Machines) -> None:
    first, second = machines.tags("layer")[:2]
    machines.cache.tags[first] = machines.cache.tags[second]


def broken_data(machines: Machines) -> None:
    tag, document = _first(machines)
    document["config"]["data"] = base64.b64encode(b'{"rootfs": {}}').decode()
    machines.bend(tag, document)


def an_index(machines: Machines) -> None:
    tag, document = _first(machines)
    machines.bend(
        tag,
        {"schemaVersion": 2, "manifests": [], "annotations": document["annotations"]},
        "application/vnd.oci.image.index.v1+json",
    )


def not_json(machines: Machines) -> None:
    raw = b"[" * 100_000
    machines.cache.manifests[sha256(raw)] = (OCI_MANIFEST, raw)
    machines.cache.tags[_first(machines)[0]] = sha256(raw)


def _outline(machines: Machines, content: bytes) -> None:
    tag = machines.tags("outline")[0]
    document = machines.document(tag)
    document["layers"][0].update(machines.put(content))
    document["layers"][0].pop("data", None)
    machines.bend(tag, document)


def _replace_config(machines: Machines, document: dict[str, Any], config: dict[str, Any]) -> None:
    raw = json.dumps(config).encode()
    document["config"] = {"mediaType": OCI_CONFIG, **machines.put(raw), "data": base64.b64encode(raw).decode()}


def _said(machines: Machines) -> dict[str, Any]:
    document = machines.document(machines.tags("outline")[0])
    found = json.loads(gzip.decompress(base64.b64decode(document["layers"][0]["data"])))
    assert isinstance(found, dict)
    return found


def an_outline_that_is_none(machines: Machines) -> None:
    _outline(machines, b"not gzip")


def an_outline_that_is_too_large(machines: Machines) -> None:
    _outline(machines, b"\0" * (9 << 20))


def a_bomb(machines: Machines) -> None:
    _outline(machines, gzip.compress(b" " * (130 << 20)))


def an_outline_of_another_wheel(machines: Machines) -> None:
    _outline(machines, gzip.compress(json.dumps({**_said(machines), "name": "numpy"}).encode()))


def an_outline_of_another_place(machines: Machines) -> None:
    said = _said(machines)
    said["claims"][0][0] = "etc/passwd"
    _outline(machines, gzip.compress(json.dumps(said).encode()))


def facts_that_are_none(machines: Machines) -> None:
    (tag,) = machines.tags("facts")
    document = machines.document(tag)
    document["layers"][0].update(machines.put(gzip.compress(b'{"folders": 1}')))
    document["layers"][0].pop("data", None)
    machines.bend(tag, document)


@pytest.mark.parametrize(
    "poison",
    [
        another_digest,
        another_layer_of_ours,
        another_diff_id,
        no_diff_id,
        another_size,
        another_size_everywhere,
        a_blob_that_is_gone,
        another_media_type,
        two_layers,
        another_key,
        broken_data,
        an_index,
        not_json,
        an_outline_that_is_none,
        an_outline_that_is_too_large,
        a_bomb,
        an_outline_of_another_wheel,
        an_outline_of_another_place,
        facts_that_are_none,
    ],
)
def test_what_is_poisoned_is_refused_and_made_of_the_wheels(
    machines: Machines, poison: Callable[[Machines], None]
) -> None:
    poison(machines)
    made = machines.empty()
    assert made.digest == machines.first.digest
    (message,) = machines.warnings()
    assert "shared cache" in message
    assert "not used" in message or "not to be trusted" in message


def test_a_lie_about_a_wheel_is_noticed_when_the_wheel_is_read(machines: Machines) -> None:
    """As one that makes wheels collide, and so share a layer."""
    said = _said(machines)
    said["claims"] = said["claims"][1:]
    _outline(machines, gzip.compress(json.dumps(said).encode()))
    for tag in machines.tags("layer"):
        del machines.cache.tags[tag]
    assert machines.empty().digest == machines.first.digest
    (message,) = machines.warnings()
    assert "is wrong; nothing of it was used" in message
    assert machines.empty(shares="write").digest == machines.first.digest  # who may write mends it
    assert machines.empty().digest == machines.first.digest
    assert machines.warnings() == []


def test_a_registry_that_fails_is_asked_once_and_told_once(machines: Machines) -> None:
    fault = Fault("GET", "/v2/cache/manifests/layer", times=None, status=403)
    machines.bench.registry.fault(fault)
    assert machines.empty().digest == machines.first.digest
    (message,) = machines.warnings()
    assert message.startswith(f"the shared cache {machines.bench.registry.host}/cache was not used: ")
    assert 0 < fault.hits < 2 * len(machines.tags("layer"))


def test_a_cache_that_takes_nothing_is_told(bench: Any, make_wheel: Any) -> None:
    bench.registry.fault(Fault("POST", "/v2/cache/", times=None, status=403))
    bench.shares = "write"
    bench.build(Image.from_base(bench.base(DEBIAN, Env=ENV)).with_wheels(make_wheel("demo")))
    messages = [event.message for event in bench.events if isinstance(event, Warning)]
    assert messages
    assert all("could not be filled" in message for message in messages)


def test_where_nothing_can_be_mounted_it_is_streamed(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "Fetcher", None)
    machines.bench.registry.fault(Fault("POST", r"mount=.*from=cache", times=None, status=403))
    made = machines.empty(machines.image.clone(name="elsewhere"))
    assert own_layers(made) == own_layers(machines.first)


def test_to_another_registry_layers_are_fetched_and_unpacked_once(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MemoryRegistry() as other:
        image = machines.image.clone(name="app", registry=other.host)
        monkeypatch.setattr(fetched, "Fetcher", None)
        machines.bench.folder = machines.bench.folder.parent / "far"
        machines.bench.shares = "read"
        result = machines.bench.engine().ensure([("app", image)], Push(machines.bench.client))[0]
        assert "opt/venv/bin/demo" in machines.bench.read(result.uri).tree
    blobs = IMAGES.at(machines.bench.folder / "cache") / "blobs" / "sha256"
    assert all((blobs / digest.removeprefix("sha256:")).exists() for digest in own_layers(machines.first)[1:])


def test_what_unpacks_to_something_else_is_noticed_where_it_is_read(machines: Machines, tmp_path: Path) -> None:
    """Both places that say what a layer unpacks to were bent: only its bytes tell."""
    tag, document = _first(machines)
    config = json.loads(base64.b64decode(document["config"]["data"]))
    wrong = f"sha256:{hashlib.sha256(b'wrong').hexdigest()}"
    config["rootfs"]["diff_ids"] = [wrong]
    config["config"]["Labels"][DIFF_ID] = document["annotations"][DIFF_ID] = wrong
    _replace_config(machines, document, config)
    machines.bend(tag, document)
    assert document["annotations"][KEY] in tag
    machines.bench.folder = tmp_path / "far"
    machines.bench.shares = "read"
    machines.bench.events.clear()
    result = machines.bench.engine().ensure(
        [("app", machines.image)], Layout(tmp_path / "images"), emit=machines.bench.events.append
    )[0]
    assert result.digest == machines.first.digest
    (message,) = machines.warnings()
    assert "was not used: it unpacks to something else" in message


def _reference(bench: Any) -> Any:
    from imagebuilder.spec.reference import Reference

    return Reference.parse(f"{bench.registry.host}/base:1")
