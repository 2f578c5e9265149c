"""Hypothesis hunts: two meanings never share an identifier, and one meaning never has two."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.identity.identifier import identify
from imagebuilder.identity.recipe import recipe
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.materials import Materials
from imagebuilder.spec import layers as kinds
from imagebuilder.spec.base import DebianBase, NamedBase, ReferenceBase, ScriptBase

if TYPE_CHECKING:
    from imagebuilder import Image

RELAXED = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
PYTHON = (3, 12)
EVERYWHERE = ("/", "/etc", "/opt")


def materials(image: Image, content: int) -> Materials:
    def of(part: object) -> Material | None:
        if not part.where:
            return None
        name = getattr(part, "name", "") or "file"
        return Material(((name, Text(b"%d" % content)),), name)

    version = None
    if isinstance(image.base, ScriptBase):
        version = image.base.python_version or PYTHON
    return Materials(of(image.base), tuple(of(layer) for layer in image.layers), version)


def identifier(image: Image, content: int = 0) -> str:
    return identify(image, materials(image, content), recipe()).identifier


def meaning(image: Image, content: int) -> object:  # noqa: C901 - one branch per layer
    """What a spec means, written down without a thought for the encoding."""
    base = image.base
    workdir = None
    if isinstance(base, (DebianBase, ScriptBase)):
        workdir = "/app"
    match base:
        case DebianBase(version, sdk):
            start = ("debian", version, sdk)
        case ScriptBase(_, version, options):
            start = ("script", version or PYTHON, content, _options(options))
        case ReferenceBase(reference):
            full = reference if "/" in reference else f"docker.io/library/{reference}"
            start = ("reference", full if ":" in full.rsplit("/", 1)[1] else f"{full}:latest")
    said = []
    for layer in image.layers:
        match layer:
            case kinds.AptPackages(packages, secrets):
                said.append(("apt", frozenset(packages), _secrets(secrets)))
            case kinds.Commands(commands, secrets):
                said.append(("commands", commands, _secrets(secrets)))
            case kinds.EnvVars(pairs) | kinds.Labels(pairs):
                said.append((layer.kind, frozenset(pairs)))
            case kinds.PipPackages(packages, options):
                said.append(("pip", packages, _options(options)))
            case kinds.UvProject(_, _, mode, options) | kinds.PoetryProject(_, _, mode, options):
                said.append((layer.kind, mode, content, _options(options)))
            case kinds.Requirements(_, options) | kinds.PyLock(_, options) | kinds.Wheels(_, options):
                said.append((layer.kind, content, _options(options)))
            case kinds.SourceFolder(_, dst):
                said.append(("folder", _place(dst, workdir), content))
            case kinds.SourceFile(_, dst, name):
                place = _place(dst, workdir)
                is_folder = dst.endswith("/") or (dst != "." and place in EVERYWHERE) or place == workdir
                said.append(("file", place, is_folder, name, content))
            case kinds.Workdir(path):
                place = _place(path, workdir)
                said.append(("workdir", place))
                workdir = place if place.startswith("/") else None
            case _:
                said.append((layer.kind, tuple(layer.__dict__.values())))
    return (start, frozenset(map(str, image.platforms)), tuple(said))


def _place(path: str, workdir: str | None) -> str:
    return posixpath.normpath(posixpath.join(workdir or "", path))


def _secrets(secrets: tuple) -> frozenset:
    return frozenset((s.key, s.group, s.mount, s.variable) for s in secrets)


def _options(options: kinds.PipOptions) -> tuple:
    index = options.index_url.url if options.index_url else None
    extra = tuple(index.url for index in options.extra_index_urls)
    return (index, extra, options.pre, options.extra_args, _secrets(options.secret_mounts))


def _resolved(image: Image) -> bool:
    return not isinstance(image.base, NamedBase)


def _agree(one: Image, a: int, other: Image, b: int) -> None:
    assert (meaning(one, a) == meaning(other, b)) == (identifier(one, a) == identifier(other, b))


CONTENT = st.integers(0, 1)


@RELAXED
@given(data=st.data(), a=CONTENT, b=CONTENT)
def test_two_random_specs(random_specs, data, a, b):
    image = random_specs.IMAGES.filter(_resolved)
    _agree(data.draw(image), a, data.draw(image), b)


@RELAXED
@given(data=st.data(), a=CONTENT, b=CONTENT)
def test_two_specs_that_differ_in_one_call(random_specs, data, a, b):
    base, publication = data.draw(random_specs.BASES), data.draw(random_specs.PUBLICATION)
    calls = data.draw(st.lists(random_specs.CALL, min_size=1, max_size=3))
    place = data.draw(st.integers(0, len(calls) - 1))
    same = st.tuples(st.just(calls[place][0])).flatmap(
        lambda name: random_specs.CALL.filter(lambda call: call[0] == name[0])
    )
    changed = [*calls[:place], data.draw(same | random_specs.CALL), *calls[place + 1 :]]
    one, other = random_specs.make(base, publication, calls), random_specs.make(base, publication, changed)
    if _resolved(one):
        _agree(one, a, other, b)


@RELAXED
@given(data=st.data())
def test_the_order_of_calls_counts_where_it_must(random_specs, data):
    base, calls = data.draw(random_specs.BASES), data.draw(random_specs.CALLS)
    shuffled = data.draw(st.permutations(calls))
    one, other = random_specs.make(base, {}, calls), random_specs.make(base, {}, shuffled)
    if _resolved(one):
        _agree(one, 0, other, 0)


@RELAXED
@given(data=st.data())
def test_publication_never_counts(random_specs, data):
    base, calls = data.draw(random_specs.BASES), data.draw(random_specs.CALLS)
    publication = {k: v for k, v in data.draw(random_specs.PUBLICATION).items() if k != "platform"}
    one, other = random_specs.make(base, {}, calls), random_specs.make(base, publication, calls)
    if _resolved(one):
        assert identifier(one) == identifier(other)
