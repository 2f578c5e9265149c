"""Images being made to be there: which are, which are built once for all who want them, what is published where."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from imagebuilder.builders.events import BuildEvent, Emit, Finished, Progress
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.builders.port import BuildRequest, Built
from imagebuilder.engine.result import Options, Result, result_of
from imagebuilder.errors import SecretError, UnknownError
from imagebuilder.outputs.output import Load, Output, Published, Push
from imagebuilder.plan.secrets import needs
from imagebuilder.registry.verdict import Absent, Present, Unknown, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagebuilder.engine.engine import Engine
    from imagebuilder.identity.identified import Identified
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.store import ContentStore


class Ensuring:
    """One `ensure`: what is there, what is built once for all who want it, and what is published where."""

    def __init__(self, engine: Engine, output: Output, options: Options, emit: Emit, cancel: threading.Event) -> None:
        self._engine, self._output, self._options, self._cancel = engine, output, options, cancel
        self._tell, self._lock = emit, threading.Lock()
        self._results: dict[int, Result] = {}
        self._builds: dict[str, list[tuple[int, Identified]]] = {}
        self._count = 0

    def _emit(self, event: BuildEvent) -> None:
        with self._lock:
            self._tell(event)

    def consider(self, item: Identified, verdict: Verdict) -> None:
        """Decide what is done about an image, by what is known of it.

        Raises:
            UnknownError: nobody could say whether it is there, or its base is not.
        """
        number, self._count = self._count, self._count + 1
        match verdict:
            case Present(digest, platforms) if not self._options.force or item.is_plain_base:
                self._done(number, item, Published(digest, tuple(map(str, platforms))), built=False, seconds=0.0)
            case Unknown() if item.is_plain_base or not self._build_unknown(item, verdict):
                otherwise = "" if item.is_plain_base else ", or build all the same with --on-unknown build"
                raise UnknownError(
                    f"{item.title}: could not find out whether {item.uri} exists: {verdict.reason}",
                    hint=verdict.hint or f"try again{otherwise}",
                )
            case Absent(reason) if item.is_plain_base and isinstance(self._output, (Push, Load)):
                raise UnknownError(
                    f"{item.title}: the base image {item.uri} does not exist: {reason}",
                    hint="check its name and tag" if isinstance(self._output, Push) else f"run docker pull {item.uri}",
                )
            case _:
                if isinstance(verdict, Unknown):
                    self._emit(
                        BuildWarning(item.title, f"could not find out whether {item.uri} exists: {verdict.reason}")
                    )
                # The same identifier for the same platforms is the same image, whatever it is called.
                self._builds.setdefault(item.identity.identifier, []).append((number, item))

    def _build_unknown(self, item: Identified, verdict: Unknown) -> bool:
        """Whether to build what could not be asked about: the user says so, or the registry takes uploads all the same.

        Some registries refuse to talk about repositories that do not exist yet. A dry run may not try an upload.
        """
        if self._options.build_unknown:
            return True
        may_try = verdict.denied and not self._options.dry_run
        return may_try and isinstance(self._output, Push) and self._output.may_push(item)

    def run(self) -> list[Result]:
        """Do what was decided; results are in the order in which images were considered.

        Raises:
            ImageBuilderError: the first failure; builds that were running are cancelled.
        """
        if self._options.dry_run:
            for wanted in self._builds.values():
                for number, item in wanted:
                    self._results[number] = replace(result_of(item, None, built=False, seconds=0.0), would_build=True)
        elif self._builds:
            with self._engine.cache():
                self._build_all()
        return [self._results[number] for number in range(self._count)]

    def _build_all(self) -> None:
        secrets = self._secrets()
        requests = {}
        for identifier, wanted in self._builds.items():
            item = wanted[0][1]
            plan = self._engine.plan(item)
            requests[identifier] = BuildRequest(
                name=item.title,
                plan=plan,
                platforms=item.image.platforms,
                secrets={name: secrets[name] for name in needs(item.image)},
                site=self._engine.site,
                no_cache=self._options.no_cache,
                cache_from=self._options.cache_from,
                cache_to=self._options.cache_to,
                prefix=self._engine.prefix(item, plan, self._output),
                divide=partial(self._engine.prefix, item, plan, self._output),
                pins=item.pins,
                registry=self._registry(wanted),
            )
        with ThreadPoolExecutor(max(1, self._options.parallel), thread_name_prefix="build") as pool:
            futures: list[Future[None]] = [
                pool.submit(self._build, request, self._builds[identifier]) for identifier, request in requests.items()
            ]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._stop(futures)
                raise
            failures = [error for future in done if (error := future.exception()) is not None]
            if failures:
                interrupted = self._cancel.is_set()
                self._stop(futures)
                # Of several, the one that is why, not those that were told to stop for it.
                raise next(
                    (error for error in failures if isinstance(error, KeyboardInterrupt) == interrupted), failures[0]
                )

    def _registry(self, wanted: list[tuple[int, Identified]]) -> str | None:
        """The one registry that an image goes to, if it is one."""
        names = {item.reference.registry for _, item in wanted} if isinstance(self._output, Push) else set()
        return names.pop() if len(names) == 1 else None

    def _secrets(self) -> dict[str, str]:
        """The values that all builds need, looked up before any begins."""
        values: dict[str, str] = {}
        missing: list[SecretError] = []
        for wanted in self._builds.values():
            item = wanted[0][1]
            try:
                values |= self._engine.vault.values(needs(item.image))
            except SecretError as error:
                missing.append(SecretError(f"{item.title}: {error.message}", hint=error.hint))
        if missing:
            raise SecretError("; ".join(error.message for error in missing), hint=missing[0].hint)
        return values

    def _stop(self, futures: list[Future[None]]) -> None:
        self._cancel.set()
        for future in futures:
            future.cancel()

    def _build(self, request: BuildRequest, wanted: list[tuple[int, Identified]]) -> None:
        began = time.monotonic()
        self._check_cancel()
        with self._early(wanted[0][1]) as made:
            built = self._engine.builder.build(replace(request, made=made), self._emit, self._cancel)
            published: dict[str, Published] = {}
            for number, item in wanted:
                if item.uri not in published:
                    published[item.uri] = self._publish(item, built)
                self._done(number, item, published[item.uri], built=True, seconds=time.monotonic() - began)

    @contextmanager
    def _early(self, item: Identified) -> Iterator[Callable[[ContentStore, Descriptor], None] | None]:
        """Where layers of an image may go before it is whole."""
        if isinstance(self._output, Push):
            with self._output.early(item) as early:
                yield early.add
        else:
            yield None

    def _check_cancel(self) -> None:
        if self._cancel.is_set():
            raise KeyboardInterrupt

    def _publish(self, item: Identified, built: Built) -> Published:
        def moved(name: str, current: int, total: int) -> None:
            self._check_cancel()
            self._emit(Progress(item.title, name, name, current, total))

        self._check_cancel()
        return self._output.publish(item, built, moved)

    def _done(self, number: int, item: Identified, published: Published, *, built: bool, seconds: float) -> None:
        self._results[number] = replace(
            result_of(item, published, built=built, seconds=seconds),
            pushed=built and isinstance(self._output, Push) and self._output.fills,
            bytes_uploaded=published.bytes_uploaded,
        )
        result = self._results[number]
        self._emit(Finished(item.title, result.uri, result.digest, built, result.pushed, seconds))
