"""Is an image there, for these platforms? `check`, `check_many`, and the `Checker` port."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from imagebuilder.errors import ConfigError, DeniedError, RegistryError
from imagebuilder.registry.verdict import Absent, Present, Unknown, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imagebuilder.registry.client import Client
    from imagebuilder.registry.manifest import Manifest
    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.reference import Reference

_DEPTH = 3  # indexes within indexes


class Checker(Protocol):
    """Says whether an image is there."""

    def check(self, ref: Reference, platforms: tuple[Platform, ...]) -> Verdict:
        """Whether `ref` exists with all of `platforms`; raises ConfigError, and nothing for what a registry does."""


class RegistryChecker:
    """Asks the registry."""

    def __init__(self, client: Client, *, deep: bool = False) -> None:
        self._client = client
        self._deep = deep

    def check(self, ref: Reference, platforms: tuple[Platform, ...]) -> Verdict:
        """Whether `ref` exists with all of `platforms`."""
        return check(self._client, ref, platforms, deep=self._deep)


class FixedChecker:
    """A double: knows some images by reference, each by its platforms or by the verdict itself."""

    def __init__(self, images: Mapping[Reference, Verdict] | None = None) -> None:
        self.images = dict(images or {})
        self.asked: list[tuple[Reference, tuple[Platform, ...]]] = []

    def check(self, ref: Reference, platforms: tuple[Platform, ...]) -> Verdict:
        """What it was told; absent where it was told nothing."""
        self.asked.append((ref, platforms))
        known = self.images.get(ref, Absent(f"{ref} does not exist"))
        if isinstance(known, Present):
            return judge(str(ref), known.digest, known.platforms, platforms)
        return known


def check(client: Client, ref: Reference, platforms: Sequence[Platform] = (), *, deep: bool = False) -> Verdict:
    """Whether `ref` exists with all of `platforms`, by one request for an index and two for a single image.

    An index is trusted about its children; `deep` asks for each that is wanted.
    """
    wanted = tuple(platforms)
    try:
        manifest = client.find_manifest(ref)
        if manifest is None:
            return Absent(f"{ref} does not exist")
        return judge_manifest(client, ref, manifest, wanted, deep=deep)
    except DeniedError as error:
        if client.settings.host(ref.registry).denied_means_absent:
            return Absent(f"{error.message}; the settings say that this means that it does not exist")
        return Unknown(error.message, denied=True, hint=error.hint)
    except RegistryError as error:
        return Unknown(error.message, hint=error.hint)
    except ConfigError:  # a ValueError too, and the user's to repair
        raise
    except ValueError as error:
        return Unknown(f"the manifest of {ref} is broken: {error}")


def check_many(
    client: Client, questions: Sequence[tuple[Reference, Sequence[Platform]]], *, parallel: int = 64, deep: bool = False
) -> list[Verdict]:
    """The verdicts in the order of the questions; the same question is asked once."""
    keys = [(ref, tuple(platforms)) for ref, platforms in questions]
    answers: dict[tuple[Reference, tuple[Platform, ...]], Verdict] = {}
    failures: list[BaseException] = []
    rest = iter(list(dict.fromkeys(keys)))
    lock = threading.Lock()

    def work() -> None:
        while not failures:
            with lock:
                key = next(rest, None)
            if key is None:
                return
            try:
                answers[key] = check(client, key[0], key[1], deep=deep)
            except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                failures.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, min(parallel, len(keys))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [answers[key] for key in keys]


def judge_manifest(
    client: Client, ref: Reference, manifest: Manifest, wanted: tuple[Platform, ...], *, deep: bool = False
) -> Present | Absent:
    """Whether a manifest that was read answers for the platforms wanted."""
    found = _platforms(client, ref, manifest, wanted, _DEPTH)
    verdict = judge(str(ref), manifest.digest, found, wanted)
    if deep and isinstance(verdict, Present):
        for child in manifest.images:
            if wanted and child.platform and child.platform not in wanted:
                continue
            if client.resolve(ref.with_digest(child.digest)) is None:
                name = child.platform or child.media_type
                return Absent(f"{ref} lists {child.digest} for {name}, which does not exist")
    return verdict


def _platforms(
    client: Client, ref: Reference, manifest: Manifest, wanted: tuple[Platform, ...], depth: int
) -> tuple[Platform, ...]:
    if not manifest.is_index:
        platform = client.platform_of(ref, manifest) if wanted else None
        return (platform,) if platform and platform.is_known else ()
    found = dict.fromkeys(manifest.platforms)
    if depth and any(platform not in found for platform in wanted):
        # A child whose platform the index leaves out says it itself; it is never taken for linux/amd64.
        for child in manifest.images:
            if child.platform is None:
                inner = client.find_manifest(ref.with_digest(child.digest))
                if inner is not None:
                    found.update(dict.fromkeys(_platforms(client, ref, inner, wanted, depth - 1)))
    return tuple(found)
