"""Brings wheels to this machine: in parallel, each verified while it streams, none kept that is not what was locked."""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from imagebuilder.errors import (
    BuildError,
    DeniedError,
    ImageBuilderError,
    RegistryError,
    SourceChangedError,
    VerificationError,
)
from imagebuilder.registry.clock import Clock, SystemClock
from imagebuilder.registry.origin import Location
from imagebuilder.registry.transport import Request, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from concurrent.futures import Future

    from imagebuilder.packages.locked import LockedFile
    from imagebuilder.packages.logins import Logins
    from imagebuilder.packages.wheel_store import WheelStore
    from imagebuilder.registry.settings import RegistrySettings

_DOWNLOADS: Final = 2  # a damaged download is repeated once
_PIECE: Final = 1 << 20
_LOOK: Final = 0.2  # seconds
_HEADERS: Final = "Accept: */*\r\nAccept-Encoding: identity\r\n"


class Fetcher:
    """Fetches files into a store, or finds them there; for several threads, one for each build.

    `settings` say how hosts are reached; their `operation_timeout` limits how long an answer may be waited for, and
    their `stall_timeout` how long a download may stand still.
    """

    def __init__(
        self,
        store: WheelStore,
        settings: RegistrySettings,
        logins: Logins,
        *,
        clock: Clock | None = None,
        workers: int | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._logins = logins
        self._clock = clock or SystemClock()
        self._transport = Transport(settings, self._clock)
        # A file is hashed as it comes: more than the processors can take only makes them wait for each other.
        self._workers = workers or max(4, min(16, 2 * (os.cpu_count() or 1)))
        self._stop = threading.Event()

    def fetch(
        self,
        files: Sequence[LockedFile],
        progress: Callable[[int], None] | None = None,
        check: Callable[[], None] = lambda: None,
        arrived: Callable[[LockedFile, Path], None] = lambda _file, _path: None,
    ) -> tuple[Path, ...]:
        """The paths of files, in their order.

        `progress` gets the bytes that have arrived, from one thread at a time; less than nothing where an attempt was
        in vain. What is in the store already counts as arrived. `check` is called several times a second, to raise
        where nobody wants the files any more; downloads that stand still are then cut off. `arrived` is told of each
        file as it comes, from several threads; what it raises ends the fetching.

        Raises:
            VerificationError: a file is not what was locked.
            BuildError: a file is not there any more.
            RegistryError: an index did not answer, or denied the file.
        """
        self._store.sweep()
        self._stop.clear()
        lock = threading.Lock()

        def count(number: int) -> None:
            if progress:
                with lock:
                    progress(number)

        def bring(file: LockedFile) -> Path:
            path = self._one(file, count)
            arrived(file, path)
            return path

        unique = {(file.sha256, file.name): file for file in files}
        # What takes longest starts first.
        order = sorted(unique.values(), key=lambda file: -(file.size or 0))
        with ThreadPoolExecutor(max(1, min(self._workers, len(order))), "fetch") as pool:
            tasks: dict[tuple[str, str], Future[Path]] = {
                (file.sha256, file.name): pool.submit(bring, file) for file in order
            }
            try:
                done = self._wait(tasks.values(), check)
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
        failure = next((error for task in done if (error := task.exception())), None)
        if failure is not None:
            raise failure
        return tuple(tasks[file.sha256, file.name].result() for file in files)

    def sizes(self, files: Sequence[LockedFile]) -> tuple[int | None, ...]:
        """Bytes of files, in their order, as this disk, the lock or the index says; None where none does."""
        with ThreadPoolExecutor(max(1, min(self._workers, len(files))), "sizes") as pool:
            return tuple(pool.map(self._size, files))

    def _wait(self, tasks: Collection[Future[Path]], check: Callable[[], None]) -> set[Future[Path]]:
        while True:
            done, waiting = wait(tasks, timeout=_LOOK, return_when=FIRST_EXCEPTION)
            if not waiting or any(task.exception() for task in done):
                return done
            try:
                check()
            except BaseException:
                self._transport.close()
                raise

    def __enter__(self) -> Fetcher:  # noqa: PYI034 - typing has no Self in Python 3.10
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _one(self, file: LockedFile, count: Callable[[int], None]) -> Path:
        found = self._store.find(file)
        if found is not None:
            count(found.stat().st_size)
            return found
        if file.location is not None:
            try:
                return self._store.add(file, self._counted(_read(file.location), [0], count), file.location)
            except VerificationError as error:
                raise SourceChangedError(error.message, hint="let nothing write to it, and build again") from None
        return self._download(file, count)

    def _size(self, file: LockedFile) -> int | None:
        known = self._store.size(file)
        if known is not None or file.size is not None:
            return file.size if known is None else known
        try:
            if file.location is not None:
                return Path(file.location).stat().st_size
            request = self._request("HEAD", file)
            response = self._transport.send(request, self._clock.monotonic() + self._settings.operation_timeout)
        except (OSError, ImageBuilderError):
            return None
        response.discard()
        length = response.headers.get("content-length", "")
        return int(length) if response.status == 200 and length.isdecimal() else None

    def _request(self, method: str, file: LockedFile) -> Request:
        try:
            location = Location.parse(file.url or "")
        except ValueError as error:
            raise BuildError(f"{file.name} has no URL that it could be fetched from: {error}") from None
        # It is asked for what the user's own index or lock named.
        self._transport.trust(location.origin)
        login = self._logins.authorization(location)
        return Request(method, location, location.origin.authority, f"fetching {file.name}", _HEADERS, login)

    def _download(self, file: LockedFile, count: Callable[[int], None]) -> Path:
        request = self._request("GET", file)
        location = request.location
        deadline = self._clock.monotonic() + self._settings.operation_timeout
        attempt, damaged = 0, 0
        while True:
            attempt += 1
            response = self._transport.send(request, deadline, limited=False)
            if response.status != 200:
                response.discard()
                _refuse(file, location, response.status)
            arrived = [0]
            try:
                return self._store.add(file, self._counted(response.stream(), arrived, count), str(location))
            except VerificationError:
                damaged += 1
                if damaged >= _DOWNLOADS:
                    raise
                count(-arrived[0])
            except OSError as error:
                count(-arrived[0])
                # The time that bytes flowed was not spent waiting.
                deadline = max(deadline, self._clock.monotonic() + self._settings.operation_timeout)
                self._transport.pause(request, attempt, deadline, error)
            finally:
                response.close()

    def _counted(self, pieces: Iterator[bytes], arrived: list[int], count: Callable[[int], None]) -> Iterator[bytes]:
        for piece in pieces:
            if self._stop.is_set():
                raise BuildError("another file could not be fetched")
            yield piece
            arrived[0] += len(piece)
            count(len(piece))


def _read(path: str) -> Iterator[bytes]:
    try:
        with Path(path).open("rb") as opened:
            while data := opened.read(_PIECE):
                yield data
    except OSError as error:
        raise SourceChangedError(f"{path} cannot be read any more: {error.strerror}") from None


def _refuse(file: LockedFile, location: Location, status: int) -> NoReturn:
    what = f"fetching {file.name} failed: {location.origin.authority} answered {status} for {location}"
    if status in (401, 403):
        raise DeniedError(
            what,
            hint="give the index's credentials in index_url or extra_index_urls, with secret_mounts, or in ~/.netrc",
            status=status,
        )
    if status in (404, 410):
        raise BuildError(what, hint="the file was removed from the index: lock again, or choose another version")
    raise RegistryError(what, status=status)
