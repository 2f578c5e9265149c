"""Making every registry hold every image: `warm`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagebuilder.builders.events import Emit, Finished, Progress
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.deploy.shared_push import SharedPush
from imagebuilder.engine import Engine, Options
from imagebuilder.errors import ImageBuilderError, InputError, PushError, RegistryError, UnknownError
from imagebuilder.registry import Absent, Copier, Present, PushEvent, Unknown, check_many
from imagebuilder.registry.mirror import at_mirror

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from concurrent.futures import Future

    from imagebuilder.identity.identified import Identified
    from imagebuilder.registry import Client, Copied, Verdict
    from imagebuilder.spec.image import Image
    from imagebuilder.spec.reference import Reference


@dataclass(frozen=True)
class Target:
    """An image and where it is to be: `places` are the registries, each with the same image published there."""

    title: str
    places: tuple[tuple[str, Image], ...]


@dataclass(frozen=True)
class Warmed:
    """What became of one image in one registry.

    `state` is present, built (and pushed there), copied, missing or unknown; `reason` says why for the last two.
    """

    name: str
    uri: str
    registry: str
    identifier: str
    state: str
    digest: str | None
    platforms: tuple[str, ...]
    bytes_moved: int = 0
    mounted: int = 0
    reason: str | None = None
    hint: str | None = None


def warm(
    engine: Engine,
    client: Client,
    targets: Sequence[Target],
    *,
    options: Options | None = None,
    emit: Emit = lambda _event: None,
    cancel: threading.Event | None = None,
) -> list[Warmed]:
    """Build what no registry has, once, then copy it to every registry that lacks it; done again, it moves nothing.

    An image that adds nothing to its base is copied as it is, to the registry as a mirror would hold it. What fails
    for one image or registry is told in its result, and does not stop the others: neither a registry that cannot be
    asked nor one that takes nothing.

    Raises:
        InputError: a spec, or a secret that building it needs, is wrong.
    """
    return _Warming(engine, client, options or Options(), emit, cancel).run(targets)


@dataclass(eq=False)
class _Slot:
    """One image in one registry."""

    item: Identified
    registry: str
    ref: Reference
    verdict: Verdict = field(default_factory=lambda: Absent(""))
    state: str = "present"
    bytes_moved: int = 0
    mounted: int = 0
    failure: ImageBuilderError | None = None
    silent: bool = False  # it could not be asked, and is pushed to all the same

    @property
    def copying(self) -> str:
        """What events call it while it is copied there."""
        return f"{self.item.title} to {self.registry}"

    @property
    def pinned(self) -> Reference:
        """The image that is there, by its digest."""
        assert isinstance(self.verdict, Present)
        return self.ref.with_digest(self.verdict.digest)


class _Warming:
    def __init__(
        self, engine: Engine, client: Client, options: Options, emit: Emit, cancel: threading.Event | None
    ) -> None:
        self.engine, self.client, self.options, self.emit, self.cancel = engine, client, options, emit, cancel
        self.titles: dict[Reference, str] = {}
        self.sent: dict[Reference, dict[str, tuple[int, int]]] = defaultdict(dict)

    def run(self, targets: Sequence[Target]) -> list[Warmed]:
        flat = [(target.title, image) for target in targets for _, image in target.places]
        identified = self.engine.resolver.identify(flat)
        for title, stale in {item.title: item.stale for item in identified if item.stale}.items():
            self.emit(BuildWarning(title, f"its lock is stale and is not used: {'; '.join(stale)}"))
        items = iter(identified)
        groups = [[_slot(next(items), registry) for registry, _ in target.places] for target in targets]
        slots = [slot for group in groups for slot in group]
        self.check(slots)
        for slot in slots:
            slot.verdict = self.push_anyway(slot, slot.verdict)
        if any(isinstance(slot.verdict, Absent) for slot in slots):
            with Copier(self.client, on_event=self.tell) as copier:
                self.learn(copier, slots)
                self.build(copier, [group for group in groups if _is_nowhere(group)])
                self.copy(copier, groups)
        self.check([slot for slot in slots if not isinstance(slot.verdict, Unknown)])
        for group in groups:
            self.compare(group)
        return [_warmed(slot) for slot in slots]

    def check(self, slots: Sequence[_Slot]) -> None:
        """Ask the registries for all at once."""
        questions = [(slot.ref, slot.item.image.platforms) for slot in slots]
        for slot, verdict in zip(slots, check_many(self.client, questions), strict=True):
            slot.verdict = verdict

    def push_anyway(self, slot: _Slot, unknown: Verdict) -> Verdict:
        """Some registries refuse to talk about repositories that do not exist yet, and let us push all the same."""
        if not isinstance(unknown, Unknown):
            return unknown
        if self.options.build_unknown:
            slot.silent = True
            return Absent(unknown.reason)
        try:
            if unknown.denied and self.client.can_push(slot.ref):
                return Absent(unknown.reason)
        except RegistryError:
            return unknown
        return unknown

    @staticmethod
    def learn(copier: Copier, slots: Sequence[_Slot]) -> None:
        """Read what is in the registries that lack something, so that its blobs are mounted and not moved."""
        lacking = {slot.ref.registry for slot in slots if isinstance(slot.verdict, Absent)}
        known = [slot for slot in slots if isinstance(slot.verdict, Present) and slot.ref.registry in lacking]
        for lesson in [copier.learn(slot.pinned) for slot in known]:
            lesson.exception()  # what cannot be read is not mounted from

    def build(self, copier: Copier, groups: Sequence[Sequence[_Slot]]) -> None:
        """Build each image once, at the first of its registries that takes it."""
        if not groups:
            return
        error = self.try_build(copier, [_places(group)[0] for group in groups])
        if error is None:
            return
        # Which of several images it was is not known, so each is tried for itself.
        for group in groups:
            if not isinstance(_places(group)[0].verdict, Present):
                self.build_alone(copier, group, error if len(groups) == 1 else None)

    def build_alone(self, copier: Copier, group: Sequence[_Slot], error: ImageBuilderError | None) -> None:
        """Build an image at the next registry where one does not take it; `error` is that of its first."""
        for slot in _places(group):
            error = error or self.try_build(copier, [slot])
            if error is None:
                return
            slot.failure, last = error, error
            if not _is_of_registry(error, slot):
                break
            error = None
        for slot in group:
            slot.failure = slot.failure or last

    def try_build(self, copier: Copier, slots: Sequence[_Slot]) -> ImageBuilderError | None:
        """Build images and push each to its registry; gives back why one could not be."""
        images = [(slot.item.title, slot.item.image) for slot in slots]
        output = SharedPush(self.client, copier)
        try:
            results = self.engine.ensure(images, output, self.options, self.emit, self.cancel)
        except InputError:
            raise
        except ImageBuilderError as error:
            self.check(slots)  # some may have been built before it failed
            for slot in slots:
                slot.state = "built"
                slot.verdict = self.push_anyway(slot, slot.verdict)
            return error
        for slot, result in zip(slots, results, strict=True):
            slot.state = "built" if result.built else "present"
            slot.bytes_moved = result.bytes_uploaded
            slot.mounted = output.mounted.get(slot.ref, 0)
            if result.digest:
                slot.verdict = Present(result.digest, slot.item.image.platforms)
        return None

    def copy(self, copier: Copier, groups: Sequence[Sequence[_Slot]]) -> None:
        """Bring what is somewhere to where it is not, each blob once to a registry."""
        copies: list[tuple[_Slot, Future[Copied]]] = []
        for group in groups:
            source = next((slot.pinned for slot in group if isinstance(slot.verdict, Present)), None)
            if source is None and group[0].item.is_plain_base:
                source = group[0].item.reference
            for slot in group:
                if source is not None and isinstance(slot.verdict, Absent):
                    self.titles[slot.ref] = slot.copying
                    copies.append((slot, copier.start(source, slot.ref)))
        for slot, copied in copies:
            self.note(slot, copied)

    def tell(self, dst: Reference, event: PushEvent) -> None:
        """Tell how many bytes are on their way to one place."""
        if event.state in ("uploading", "uploaded"):
            sent = self.sent[dst]
            sent[event.digest] = (event.size if event.state == "uploaded" else event.sent, event.size)
            now, total = map(sum, zip(*sent.values(), strict=True))
            self.emit(Progress(self.titles[dst], f"push {dst}", f"push {dst}", now, total))

    def note(self, slot: _Slot, copied: Future[Copied]) -> None:
        """Keep what became of a copy."""
        try:
            done = copied.result()
        except ImageBuilderError as error:
            slot.failure = error
            return
        moved = done.bytes_moved or done.mounted
        slot.state, slot.bytes_moved = "copied" if moved else "present", done.bytes_moved
        slot.mounted = len(done.mounted)
        self.emit(Finished(slot.copying, str(slot.ref), done.digest, built=False, pushed=False, seconds=0.0))

    def compare(self, group: Sequence[_Slot]) -> None:
        """Say where registries have different builds of one spec, as two machines may have made them."""
        digests = {slot.verdict.digest for slot in group if isinstance(slot.verdict, Present)}
        if len(digests) > 1:
            title = group[0].item.title
            self.emit(BuildWarning(title, f"its registries hold {len(digests)} different builds of it"))


def _slot(item: Identified, registry: str) -> _Slot:
    ref = at_mirror(item.reference, registry) if item.is_plain_base else item.reference
    return _Slot(item, registry, ref)


def _is_nowhere(group: Sequence[_Slot]) -> bool:
    """Whether an image has to be built: some registry says that it does not have it, and none that it does.

    One that cannot be asked does not keep the others waiting.
    """
    there = any(isinstance(slot.verdict, Present) for slot in group)
    return not group[0].item.is_plain_base and not there and bool(_places(group))


def _places(group: Sequence[_Slot]) -> list[_Slot]:
    """Where an image may be pushed, registries that answered first."""
    return sorted((slot for slot in group if isinstance(slot.verdict, Absent)), key=lambda slot: slot.silent)


def _is_of_registry(error: ImageBuilderError, slot: _Slot) -> bool:
    """Whether another registry may take what this one did not."""
    return isinstance(error, (PushError, UnknownError)) and slot.ref.registry in error.message


def _warmed(slot: _Slot) -> Warmed:
    verdict, failure, item = slot.verdict, slot.failure, slot.item
    state, platforms = slot.state, item.image.platforms
    digest = reason = hint = None
    if isinstance(verdict, Present):
        digest, platforms = verdict.digest, verdict.platforms
    else:
        silent = isinstance(verdict, Unknown)
        state = "unknown" if silent else "missing"
        reason = failure.message if failure and not silent else verdict.reason
        hint = failure.hint if failure and not silent else getattr(verdict, "hint", None)
    return Warmed(
        name=item.title,
        uri=str(slot.ref),
        registry=slot.registry,
        identifier=item.identity.identifier,
        state=state,
        digest=digest,
        platforms=tuple(map(str, platforms)),
        bytes_moved=slot.bytes_moved,
        mounted=slot.mounted,
        reason=reason,
        hint=hint,
    )
