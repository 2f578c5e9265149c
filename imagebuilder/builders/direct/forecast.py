"""What the packages of an image take, before anything of it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.missing import missing_of
from imagebuilder.cache.kinds import WHEELS
from imagebuilder.errors import WorkError
from imagebuilder.packages import Fetcher, Logins, NeedsBuild, WheelStore, noted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.direct.python import Environments
    from imagebuilder.builders.direct.sdists import Sdists
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.layers import Layer
    from imagebuilder.packages import LockedFile, LockedPackage
    from imagebuilder.plan.ops import Plan
    from imagebuilder.registry.settings import RegistrySettings
    from imagebuilder.spec.credential import Index
    from imagebuilder.spec.platform import Platform


@dataclass(frozen=True)
class Forecast:
    """What an environment takes: `fetched` of the files are not on this disk, `built` have no wheel.

    `layers` are there where all of them are known already; otherwise files have the size that somebody tells.
    """

    files: list[LockedFile]
    fetched: list[LockedFile]
    built: list[NeedsBuild]
    layers: list[Layer] | None = None


class UnbuiltError(WorkError):
    """A wheel was not built yet, and nothing is to be built now."""

    def __init__(self, needed: list[NeedsBuild]) -> None:
        super().__init__("; ".join(map(str, needed)))
        self.needed = needed


def forecast(
    environments: Environments,
    cache_dir: Path,
    plan: Plan,
    request: BuildRequest,
    facts: BaseFacts,
    *,
    settings: RegistrySettings,
    platform: Platform,
    room: int,
    sdists: Sdists | None = None,
) -> Forecast:
    """What `Environments.install` would fetch and have built.

    Raises:
        ImageBuilderError: as it does.
    """
    target, python, interpreter = environments.ground(plan, facts, platform)

    def known(packages: Sequence[LockedPackage]) -> list[LockedFile | None]:
        return sdists.known(packages, python, interpreter) if sdists is not None else [None] * len(packages)

    def learned(packages: Sequence[LockedPackage], _logins: Iterable[Index]) -> list[LockedFile]:
        found = known(packages)
        if None in found:
            raise UnbuiltError([NeedsBuild(one, "only its build tells what it needs") for one in packages])
        return [wheel for wheel in found if wheel is not None]

    builds = None if sdists is None else learned
    try:
        resolution, chosen = environments.chosen(plan, request, facts, platform, builds=builds)
    except UnbuiltError as error:
        return Forecast([], [], error.needed)
    missing = missing_of(chosen, builds)
    built = dict(zip(map(id, missing), known([one.package for one in missing]), strict=True))
    found = [built[id(one)] if isinstance(one, NeedsBuild) else one for one in chosen]
    files = [noted(file, one) for file, one in zip(found, resolution.packages, strict=True) if file is not None]
    needed = [one for one in missing if built[id(one)] is None]
    if files and not needed:
        layers = environments.stack(request, files, target, python, room=room)[0].known()
        if layers is not None:
            return Forecast(files, [], needed, layers)
    store = WheelStore(WHEELS.at(cache_dir))
    with Fetcher(store, settings, Logins(resolution.logins)) as fetcher:
        files = [replace(file, size=size) for file, size in zip(files, fetcher.sizes(files), strict=True)]
    return Forecast(files, [file for file in files if store.size(file) is None], needed)
