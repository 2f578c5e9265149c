from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from imagebuilder import Image
from imagebuilder.bases import BaseUsers
from imagebuilder.builders.events import Finished, Step
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.builders.fixed import FixedBuilder
from imagebuilder.engine import Engine, Options
from imagebuilder.errors import BuildError, SecretError, UnknownError
from imagebuilder.identity.recipe import DEFAULT_EPOCH, recipe
from imagebuilder.identity.resolver import Resolver
from imagebuilder.outputs.docker import Docker
from imagebuilder.outputs.output import Layout, Published, Push
from imagebuilder.registry import Absent, Client, MemoryRegistry, MemoryStore, OCILayout, Present, Unknown, push
from imagebuilder.registry import media_types as types
from imagebuilder.registry.memory.fault import Fault
from imagebuilder.registry.verdict import Verdict
from imagebuilder.sources import Sources
from imagebuilder.sources.material import Material, Text
from imagebuilder.spec.platform import LINUX_AMD64
from imagebuilder.spec.reference import Reference
from imagebuilder.vault import Vault


@dataclass
class Shop:
    """An engine put together from doubles, around a registry in memory."""

    registry: MemoryRegistry
    client: Client
    builder: FixedBuilder
    environ: dict = field(default_factory=dict)
    events: list = field(default_factory=list)

    def image(self, name="app", base="3.11"):
        return Image.from_debian_base(base, install_sdk=False, name=name, registry=self.registry.host)

    def engine(self, bases=None):
        return Engine(
            resolver=Resolver(recipe(DEFAULT_EPOCH), Sources),
            builder=self.builder,
            vault=Vault(self.environ),
            bases=bases or BaseUsers(self.client, Docker({"PATH": "/nonexistent"})),
            sdks=lambda wanted: Material(((f"lib/{wanted.version}", Text(b"the SDK")),)),
        )

    def ensure(self, *images, output=None, cancel=None, **options):
        named = [(image.name or "image", image) for image in images]
        return self.engine().ensure(named, output or Push(self.client), Options(**options), self.events.append, cancel)

    def there(self, uri):
        return self.client.resolve(Reference.parse(uri)) is not None


@pytest.fixture
def shop():
    with MemoryRegistry() as registry, Client() as client:
        yield Shop(registry, client, FixedBuilder())


class FixedOutput:
    """An output that gives the verdicts it was told, and notes what is published."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts = verdicts
        self.published = []

    def check(self, items):
        return list(self.verdicts)

    def publish(self, item, built, moved):
        self.published.append(item.uri)
        moved("push", 1, 2)
        return Published(built.root.digest, ("linux/amd64",), 7)


def test_what_is_absent_is_built_pushed_and_verified(shop):
    [result] = shop.ensure(shop.image())
    assert (result.built, result.pushed, result.platforms) == (True, True, ("linux/amd64",))
    assert result.digest == shop.client.resolve(Reference.parse(result.uri)).digest
    assert result.bytes_uploaded > 0
    [request] = shop.builder.requests
    assert request.name == "app"
    assert dict(request.plan.labels)["io.imagebuilder.identifier"] == result.identifier
    assert isinstance(shop.events[0], Step)
    assert shop.events[-1] == Finished("app", result.uri, result.digest, True, True, shop.events[-1].seconds)


def test_what_is_present_is_not_built(shop):
    [first] = shop.ensure(shop.image())
    shop.events.clear()
    [second] = shop.ensure(shop.image())
    assert (second.built, second.pushed, second.digest, second.bytes_uploaded) == (False, False, first.digest, 0)
    assert len(shop.builder.requests) == 1
    assert shop.events == [Finished("app", second.uri, first.digest, False, False, 0.0)]


def test_force_builds_all_the_same(shop):
    shop.ensure(shop.image())
    assert shop.ensure(shop.image(), force=True, no_cache=True)[0].built
    assert [request.no_cache for request in shop.builder.requests] == [False, True]


def test_a_platform_that_is_missing_is_a_reason_to_build(shop):
    shop.ensure(shop.image())
    [result] = shop.ensure(shop.image().clone(platform=["linux/amd64", "linux/arm64"]))
    assert (result.built, result.platforms) == (True, ("linux/amd64", "linux/arm64"))


def test_unknown_is_neither_yes_nor_no(shop):
    output = FixedOutput(Unknown("the registry is down", hint="start it"))
    with pytest.raises(UnknownError, match=r"could not find out whether .* exists: the registry is down") as caught:
        shop.ensure(shop.image(), output=output)
    assert (caught.value.hint, caught.value.exit_code) == ("start it", 3)
    with pytest.raises(UnknownError) as caught:
        shop.ensure(shop.image(), output=FixedOutput(Unknown("down")))
    assert "--on-unknown build" in (caught.value.hint or "")
    assert shop.builder.requests == []


def test_unknown_is_built_where_the_user_says_so(shop):
    output = FixedOutput(Unknown("the registry is down"))
    assert shop.ensure(shop.image(), output=output, build_unknown=True)[0].built
    assert [event for event in shop.events if isinstance(event, BuildWarning)]
    assert len(output.published) == 1


def test_a_registry_that_refuses_to_talk_but_takes_uploads(shop):
    """Some registries deny that they know a repository that does not exist yet."""
    shop.registry.fault(Fault(status=403, path="manifests"))
    [result] = shop.ensure(shop.image())
    assert result.built
    assert shop.there(result.uri)


def test_a_dry_run_does_not_try_an_upload(shop):
    shop.registry.fault(Fault(status=403, path="manifests"))
    with pytest.raises(UnknownError):
        shop.ensure(shop.image(), dry_run=True)
    assert {seen.method for seen in shop.registry.seen} <= {"GET", "HEAD"}


def test_a_dry_run_runs_nothing_and_makes_nothing(shop, tmp_path):
    shop.environ.clear()
    image = shop.image().with_commands(["true"], secret_mounts=["ABSENT"])
    [result] = shop.ensure(image, dry_run=True)
    assert (result.would_build, result.built, result.digest) == (True, False, None)
    assert shop.builder.requests == []
    assert shop.events == []
    assert {seen.method for seen in shop.registry.seen} <= {"GET", "HEAD"}
    shop.ensure(image, output=Layout(tmp_path / "images"), dry_run=True)
    assert not (tmp_path / "images").exists()


def test_one_identifier_is_built_once_and_published_under_every_name(shop):
    image = shop.image("one")
    results = shop.ensure(image, image.clone(name="two"), image)
    assert len(shop.builder.requests) == 1
    assert [result.name for result in results] == ["one", "two", "one"]
    assert len({result.digest for result in results}) == 1
    assert shop.there(results[0].uri)
    assert shop.there(results[1].uri)
    manifests = [seen for seen in shop.registry.seen if seen.method == "PUT" and "manifests" in seen.path]
    assert len(manifests) == 2


def test_a_failing_build_cancels_the_other(shop):
    shop.builder = FixedBuilder({"bad": BuildError("bad: no")}, {"slow": threading.Event()})
    shop.builder.gate["bad"] = shop.builder.begun["slow"]
    bad, slow = shop.image("bad").with_labels({"a": "1"}), shop.image("slow").with_labels({"b": "1"})
    with pytest.raises(BuildError, match="bad: no"):
        shop.ensure(slow, bad, shop.image("later").with_labels({"c": "1"}), parallel=2)
    assert shop.builder.cancelled == ["slow"]
    assert "later" not in [request.name for request in shop.builder.requests]
    assert not [seen for seen in shop.registry.seen if seen.method in ("PUT", "POST", "PATCH")]


def test_a_cancel_is_an_interrupt(shop):
    shop.builder = FixedBuilder(gate={"app": threading.Event()})
    cancel = threading.Event()
    shop.builder.begun["app"] = cancel
    with pytest.raises(KeyboardInterrupt):
        shop.ensure(shop.image(), cancel=cancel)
    assert shop.builder.cancelled == ["app"]


def test_a_cancel_before_the_push_pushes_nothing(shop):
    cancel = threading.Event()
    build = shop.builder.build

    def cancelled_at_the_end(request, emit, event):
        built = build(request, emit, event)
        cancel.set()
        return built

    shop.builder.build = cancelled_at_the_end
    with pytest.raises(KeyboardInterrupt):
        shop.ensure(shop.image(), cancel=cancel)
    assert {seen.method for seen in shop.registry.seen} <= {"GET", "HEAD"}


def test_secrets_are_looked_up_before_anything_is_built(shop):
    with pytest.raises(SecretError) as caught:
        shop.ensure(
            shop.image("one"),
            shop.image("two").with_commands(["x"], secret_mounts=["FIRST"]),
            shop.image("three").with_commands(["y"], secret_mounts=["SECOND"]),
        )
    assert "FIRST" in caught.value.message
    assert "SECOND" in caught.value.message
    assert shop.builder.requests == []


def test_each_image_gets_its_own_secrets(shop):
    shop.environ |= {"FIRST": "v1", "SECOND": "v2"}
    shop.ensure(
        shop.image("two").with_commands(["x"], secret_mounts=["FIRST"]),
        shop.image("three").with_commands(["y"], secret_mounts=["SECOND"]),
        shop.image("none"),
    )
    found = {request.name: sorted(request.secrets.values()) for request in shop.builder.requests}
    assert found == {"two": ["v1"], "three": ["v2"], "none": []}
    assert "v1" not in repr(shop.builder.requests)


def push_base(shop, name="base:1", user="worker", platform=LINUX_AMD64):
    import json

    store = MemoryStore()
    config = {
        "os": platform.os,
        "architecture": platform.architecture,
        "config": {"User": user},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": types.OCI_MANIFEST,
        "config": store.add(json.dumps(config).encode(), types.OCI_CONFIG).to_json(),
        "layers": [store.add(b"layer", types.OCI_LAYER).to_json()],
    }
    root = store.add(json.dumps(manifest).encode(), types.OCI_MANIFEST)
    push(shop.client, store, root, Reference.parse(f"{shop.registry.host}/{name}"))
    return f"{shop.registry.host}/{name}"


def test_a_plain_base_that_is_there(shop):
    uri = push_base(shop)
    [result] = shop.ensure(Image.from_base(uri), force=True)
    assert (result.uri, result.built, result.pushed) == (uri, False, False)
    assert shop.builder.requests == []


@pytest.mark.parametrize("options", [{}, {"build_unknown": True}, {"dry_run": True}])
def test_a_plain_base_that_is_not_there_is_never_built(shop, options):
    image = Image.from_base(f"{shop.registry.host}/absent:1")
    with pytest.raises(UnknownError, match="does not exist"):
        shop.ensure(image, **options)
    with pytest.raises(UnknownError, match="could not find out"):
        shop.ensure(image, output=FixedOutput(Unknown("down", denied=True)), **options)
    assert shop.builder.requests == []


def test_a_plain_base_in_a_layout_is_a_copy_of_it(shop, tmp_path):
    uri = push_base(shop)
    assert shop.ensure(Image.from_base(uri), output=Layout(tmp_path))[0].built


def test_the_bases_user_is_asked_for_where_it_matters(shop):
    uri = push_base(shop)
    named = Image.from_base(uri, name="on-base", registry=shop.registry.host)
    shop.ensure(named.with_commands(["true"]), named.with_env_vars({"A": "1"}))
    users = [request.plan.base_user for request in shop.builder.requests]
    assert sorted(user or "" for user in users) == ["", "worker"]


def test_a_base_nobody_knows(shop):
    named = Image.from_base(f"{shop.registry.host}/absent:1", name="x", registry=shop.registry.host)
    with pytest.raises(UnknownError, match=r"which user the base .*absent:1 runs as") as caught:
        shop.ensure(named.with_commands(["true"]))
    assert "check the base's name" in (caught.value.hint or "")
    uri = push_base(shop, platform=LINUX_AMD64)
    bases = BaseUsers(shop.client, Docker({"PATH": "/nonexistent"}))
    assert bases.user(uri, LINUX_AMD64) == "worker"


def test_layouts_take_several_images_at_once(shop, tmp_path):
    images = [shop.image(f"app{number}").with_labels({"n": str(number)}) for number in range(8)]
    results = shop.ensure(*images, output=Layout(tmp_path / "out"), parallel=8)
    layout = OCILayout(tmp_path / "out")
    assert {root.digest for root in layout.roots()} == {result.digest for result in results}
    for result in results:
        assert layout.root(result.uri).digest == result.digest
    shop.ensure(images[0], output=Layout(tmp_path / "out"))
    assert len(layout.roots()) == 8


def test_results_are_in_the_order_of_the_images(shop):
    images = [shop.image(f"app{number}").with_labels({"n": str(number)}) for number in range(6)]
    shop.ensure(*images[::2])
    results = shop.ensure(*images, parallel=3)
    assert [result.name for result in results] == [image.name for image in images]
    assert [result.built for result in results] == [False, True] * 3
    assert isinstance(Absent("x"), Verdict.__args__)
    assert isinstance(Present("x"), Verdict.__args__)
