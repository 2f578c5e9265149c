"""The wheels of an image, brought to this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.builders.events import Progress
from imagebuilder.layers import WheelFile
from imagebuilder.packages import Fetcher, Logins

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from imagebuilder.builders.events import Emit
    from imagebuilder.packages import LockedFile, Resolution, WheelStore
    from imagebuilder.registry import RegistrySettings


def fetched(
    store: WheelStore,
    settings: RegistrySettings,
    resolution: Resolution,
    files: list[LockedFile],
    *,
    name: str,
    emit: Emit,
    check: Callable[[], None],
    arrived: Callable[[WheelFile], None],
) -> list[WheelFile]:
    """The wheels of a resolution, in their order; `arrived` is told of each as it comes, from several threads.

    Raises:
        BuildError: a file is not there any more.
        RegistryError: an index did not answer.
        VerificationError: a file is not what was locked.
    """
    total = sum(file.size or 0 for file in files) or None
    count = 0
    wheels: dict[LockedFile, WheelFile] = {}

    def progress(more: int) -> None:
        nonlocal count
        check()
        count += more
        emit(Progress(name, "fetch", "fetch wheels", count, total))

    def keep(file: LockedFile, path: Path) -> None:
        wheels[file] = WheelFile(path, sha256=file.sha256, direct_url=file.direct_url)
        arrived(wheels[file])

    with Fetcher(store, settings, Logins(resolution.logins)) as fetcher:
        fetcher.fetch(files, progress, check, keep)
    return [wheels[file] for file in files]
