"""Images on newer bases, in their registries: `rebase_image`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.rebase import standings
from imagebuilder.errors import ConfigError
from imagebuilder.identity.labels import from_labels, to_labels
from imagebuilder.identity.rebased import rebased
from imagebuilder.registry import push, verify_pushed
from imagebuilder.spec.reference import DOCKER_HUB, Reference

if TYPE_CHECKING:
    from imagebuilder.builders.direct.builder import DirectBuilder
    from imagebuilder.builders.direct.rebase import Standing
    from imagebuilder.identity.labels import Recorded
    from imagebuilder.registry import Client


@dataclass(frozen=True)
class Moved:
    """One platform of a rebased image: digests of the bases, layers that stayed and that were made again."""

    platform: str
    old_base: str
    new_base: str
    kept: int
    remade: int


@dataclass(frozen=True)
class Rebased:
    """What became of an image; `pushed` is false in a dry run, and where the image was there already."""

    image: str
    base: str
    uri: str
    digest: str
    old_digest: str
    identifier: str | None
    platforms: tuple[Moved, ...]
    pushed: bool = False
    bytes_uploaded: int = 0
    mounted: int = 0

    @property
    def changed(self) -> bool:
        """Whether it is another image than before."""
        return self.digest != self.old_digest


def rebase_image(
    client: Client, direct: DirectBuilder, image: str, base: str, *, to: str | None = None, dry_run: bool = False
) -> Rebased:
    """Put an image that was assembled directly on another base, and push it; see the reference of `rebase`.

    Raises:
        ConfigError: it must be said where the result goes.
        BuildError: it was not assembled directly, or does not fit on the base.
        PushError: the registry refused it.
        RegistryError: a registry could not say.
    """
    old, wanted = Reference.parse(image), Reference.parse(base)
    found = standings(client, old)
    name = base_name(found[0].base_name, wanted)
    recorded = from_labels(found[0].labels)
    new = rebased(recorded, found[0].base_name, name) if recorded else None
    target = _target(old, to, found[0], recorded, new)
    built, swaps = direct.rebase(found, wanted, name=name, labels=dict(to_labels(new)) if new else {})
    was = client.resolve(old)
    result = Rebased(
        image=str(old),
        base=str(wanted),
        uri=str(target),
        digest=built.root.digest,
        old_digest=was.digest if was else "",
        identifier=new.identifier if new else None,
        platforms=tuple(
            Moved(str(swap.platform), swap.old_base, swap.new_base, swap.kept, swap.remade) for swap in swaps
        ),
    )
    there = client.resolve(target, mirrors=False)
    if dry_run or (there is not None and there.digest == result.digest):
        return result
    sources = [old, wanted.replace(tag=None, digest=None)]
    mounts = [one.repository for one in sources if one.registry == target.registry and one.registry != DOCKER_HUB]
    pushed = push(client, built.store, built.root, target, mount_from=mounts)
    verify_pushed(client, target, pushed.digest, [swap.platform for swap in swaps])
    return Rebased(
        **{**vars(result), "pushed": True, "bytes_uploaded": pushed.bytes_uploaded, "mounted": len(pushed.mounted)}
    )


def base_name(old: str, wanted: Reference) -> str:
    """What the new base is called: a digest of what the old name points to is called by that name."""
    before = Reference.parse(old)
    same = wanted.digest and not before.digest and wanted.name == before.name and wanted.tag in (None, before.tag)
    return old if same else str(wanted)


def _target(
    old: Reference, to: str | None, standing: Standing, recorded: Recorded | None, new: Recorded | None
) -> Reference:
    """Where the result goes: a tag that is an identifier never points to what another spec makes."""
    target = Reference.parse(to) if to else old.replace(tag=None, digest=None)
    if target.digest:
        raise ConfigError(f"{to} has a digest, which is not known before", hint="name a tag")
    if recorded and target.name == old.name and target.tag == recorded.identifier and new != recorded:
        raise ConfigError(
            f"the tag {target.tag} names the image on {standing.base_name}, and cannot name it on another base",
            hint="choose another tag with --to",
        )
    if target.tag:
        return target
    if new is None:
        hint = f"say where it goes with --to, for example --to {old.replace(tag='rebased', digest=None).familiar}"
        if recorded and recorded.lock:
            why = "its lock pins its base"
            hint += "; or lock the spec again with imagebuild lock, and build it"
        else:
            why = f"its spec means {Reference.parse(standing.base_name).familiar}"
        raise ConfigError(f"{old.familiar} has no identifier on another base: {why}", hint=hint)
    return target.with_tag(new.identifier)
