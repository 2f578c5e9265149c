"""An assembled image put on another base: its layers stay, what depends on the base is made again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.base import Base, RemoteStore
from imagebuilder.builders.direct.kept import Kept
from imagebuilder.builders.direct.record import ASSEMBLY, BASE_DIGEST, BASE_NAME, Record
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.direct.work import Tools, Work
from imagebuilder.builders.port import BuildRequest
from imagebuilder.errors import BuildError
from imagebuilder.identity.labels import IDENTIFIER, from_labels
from imagebuilder.plan.ops import Plan
from imagebuilder.spec.base import DebianBase, ScriptBase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.builders.direct.base import Bases
    from imagebuilder.registry import Client, Descriptor, Manifest
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference

_HINT = "build it on the new base instead: imagebuild build"


@dataclass(frozen=True)
class Standing:
    """An assembled image of one platform, and what it says about its base."""

    platform: Platform
    image: Base
    record: Record
    base_name: str
    base_digest: str

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its config."""
        found = self.image.settings.get("Labels")
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Swap:
    """What became of one platform: bases before and after, layers that stayed and that were made again."""

    platform: Platform
    old_base: str
    new_base: str
    kept: int
    remade: int
    root: Descriptor
    base: Base


def standings(client: Client, ref: Reference) -> list[Standing]:
    """Read an image, each of its platforms.

    Raises:
        BuildError: it was not assembled directly; the message says what it is.
        RegistryError: it does not exist, or the registry could not say.
    """
    top = client.manifest(ref)
    if not top.is_index:
        platform = client.platform_of(ref, top)
        if platform is None:
            raise _refused(ref, "it does not say which platform it is for")
        return [_standing(client, ref, top, platform)]
    found = []
    for child in top.images:
        if child.platform is None:
            raise _refused(ref, "its index does not say which platform each image is for")
        at = ref.with_digest(child.digest)
        found.append(_standing(client, at, client.manifest(at), child.platform))
    if not found:
        raise _refused(ref, "it is an index without images")
    return found


def rebase(
    tools: Tools, bases: Bases, standing: Standing, base: Reference, *, name: str, labels: Mapping[str, str]
) -> Swap:
    """Put one platform's image on a base; `name` is what the base is called, `labels` replace what we say of a spec.

    Raises:
        BuildError: the base does not fit; the message says why.
        RegistryError: the base's registry could not say.
    """
    new = bases.base(base, standing.platform)
    facts = bases.facts(new, tools.check)
    record = standing.record
    user = record.base_user
    if user is not None and not _begins_as_root(standing):
        user = str(new.settings.get("User") or "")
    titles = tuple(f"layer {number}" for number in range(1 + max((step.layer for step in record.steps), default=0)))
    plan = Plan(name, user, record.steps, {}, ("the base", *titles[1:]), tuple(sorted(labels.items())))
    request = BuildRequest(name, plan, (standing.platform,))
    contents = Kept(standing.image, record, tools.environments)
    quiet = replace(tools, emit=lambda _event: None)
    work = Work(quiet, new, facts, plan=plan, request=request, platform=standing.platform, contents=contents)
    try:
        root = work.run()
    except (BuildError, NotDirectError) as error:
        why = error.message.removeprefix(f"{name}: ")
        raise BuildError(
            f"{standing.image.name} ({standing.platform}) does not fit on {base.familiar}: {why}",
            hint=_HINT,
        ) from error
    made = sum(laid.count for laid in work.laid)
    return Swap(
        standing.platform,
        standing.base_digest,
        new.manifest.digest,
        contents.taken,
        made - contents.taken,
        root.replace(platform=standing.platform),
        new,
    )


def _begins_as_root(standing: Standing) -> bool:
    """Whether the base is one that this project chose, whose user is not asked for."""
    recorded = from_labels(standing.labels)
    return recorded is not None and recorded.parts[0][0] in (DebianBase.kind, ScriptBase.kind)


def _standing(client: Client, ref: Reference, manifest: Manifest, platform: Platform) -> Standing:
    image = Base.of(ref.familiar, manifest, RemoteStore(client, ref, manifest.blobs))
    said = manifest.document.get("annotations")
    said = said if isinstance(said, dict) else {}
    if not {ASSEMBLY, BASE_NAME, BASE_DIGEST} <= said.keys():
        history = image.config.get("history") or []
        assembled = any(isinstance(entry, dict) and entry.get("comment") == "imagebuilder" for entry in history)
        made = assembled or IDENTIFIER in (image.settings.get("Labels") or {})
        why = (
            "some of its layers were run by BuildKit, and would have to be run again"
            if made
            else ("imagebuild did not make it, so nothing says where its base ends")
        )
        raise _refused(ref, why)
    try:
        record = Record.parse(str(said[ASSEMBLY]))
    except ValueError as error:
        raise _refused(ref, str(error)) from None
    return Standing(platform, image, record, str(said[BASE_NAME]), str(said[BASE_DIGEST]))


def _refused(ref: Reference, why: str) -> BuildError:
    return BuildError(f"{ref.familiar} cannot be rebased: {why}", hint=_HINT)
