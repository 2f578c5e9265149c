"""The life of one attempt: what its Job shows, its bounds in time, its end, and that nothing is left."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasksdk.engines.attempt import AttemptEvent, Exit, ExitReason, Phase
from tasksdk.engines.kubernetes.api import Refused
from tasksdk.engines.kubernetes.log import Log, pump
from tasksdk.engines.kubernetes.manifest import CONTAINER
from tasksdk.engines.kubernetes.observer import JOB_NAME
from tasksdk.engines.kubernetes.verdict import Seen, judge, may_run, seconds
from tasksdk.errors import EngineError, TaskSdkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tasksdk.engines.attempt import LogLine
    from tasksdk.engines.kubernetes.api import Api
    from tasksdk.engines.kubernetes.observer import Observer
    from tasksdk.engines.kubernetes.settings import Settings

# How long the last lines of a container that ended may take, and its removal beyond the grace.
_DRAIN_SECONDS = 20.0
_REMOVAL_SECONDS = 60.0
_LONGEST_WAIT = 10.0
# How soon a pod is made, where nothing stands against it.
_POD_SECONDS = 2.0


class Bounds:
    """How long an attempt may be queued and run, in seconds; None is no bound."""

    def __init__(self, queued: float | None = None, runtime: float | None = None) -> None:
        self.queued = queued
        self.runtime = runtime


class Attempt:
    """What the engine knows of one attempt; `follow` brings it to its end."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self.name = name
        self.ended = asyncio.Event()
        self.failure: TaskSdkError | None = None
        self.task: asyncio.Task[None] | None = None
        self._bounds = bounds
        self._events = [AttemptEvent(Phase.QUEUED, time.time())]
        self._changed = asyncio.Event()
        self._log = Log()
        self._silent = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._abort: str | None = None
        self._wake = asyncio.Event()
        self._pod: str | None = None
        self._log_wanted = False
        self._began: float | None = None
        self._unpulled: float | None = None
        self._leaving: float | None = None

    async def events(self) -> AsyncIterator[AttemptEvent]:
        """The phase it is in, then each change."""
        shown = len(self._events) - 1
        while True:
            while shown < len(self._events):
                event = self._events[shown]
                shown += 1
                yield event
                if event.phase.terminal:
                    return
            if self.failure is not None:
                raise self.failure
            await self._changed.wait()

    async def lines(self) -> AsyncIterator[LogLine]:
        """Its output, until it has ended."""
        self._log_wanted = True
        self._wake.set()
        async for line in self._log.read():
            yield line

    async def abort(self, reason: str) -> None:
        """Ask it to end, and wait until it has."""
        if self._abort is None:
            self._abort = reason
        self._wake.set()
        await self.ended.wait()
        if self.failure is not None:
            raise self.failure

    def end(self, how: Exit) -> None:
        """It has ended, and nothing of it is left."""
        self._log.end()
        if not self._events[-1].phase.terminal:
            self._tell(how.phase, how, how.message)
        self.ended.set()

    async def follow(self, api: Api, observer: Observer, settings: Settings, *, adopted: bool) -> None:
        """Watch its Job to the end, keep its bounds, and remove the Job."""
        self._wake = observer.subscribe(self.name)
        self._wake.set()
        try:
            end = await self._until_the_end(api, observer, settings, adopted=adopted)
            self._silent.set()
            if end.code is not None:
                await self._drain()
            await self._remove(api, observer, settings)
            await self._drain()
            self.end(end)
        except TaskSdkError as error:
            self._fail(error)
        except Refused as error:
            self._fail(EngineError(f"attempt {self.name}: the Kubernetes API server refuses: {error.message}"))
        finally:
            if not self.ended.is_set():
                self._fail(EngineError(f"attempt {self.name}: it is no longer watched"))
            if self._pump is not None:
                self._pump.cancel()
                with suppress(asyncio.CancelledError):
                    await self._pump

    async def _until_the_end(self, api: Api, observer: Observer, settings: Settings, *, adopted: bool) -> Exit:
        while True:
            self._wake.clear()
            if observer.failure is not None:
                raise observer.failure
            wait = _LONGEST_WAIT
            if observer.ready:  # a Job that ended says little without its pod
                job = observer.job(self.name) or await self._ask(api)
                container = _container_of(job)
                seen = judge(job, observer.pods(self.name), container, self._pod, observer.gone(self.name))
                if seen.pod is None and seen.exit is not None and job is not None:
                    # Its pod may be on its way to the observer, by a connection of its own.
                    seen = judge(job, await self._ask_pods(api), container, self._pod)
                self._pod = seen.pod or self._pod
                if seen.pod is None and seen.exit is None and job is not None:
                    seen = seen.replace(message=await self._why_without_pod(api))
                if self._abort is not None and (seen.exit is None or seen.tentative):
                    return Exit(ExitReason.ABORTED, message=self._abort)
                if seen.exit is not None and not seen.tentative:
                    self._notice(api, seen, container, at_the_end=True)
                    return seen.exit
                self._notice(api, seen, container)
                late, wait = self._late(seen, job, settings, adopted=adopted)
                if late is not None:
                    return late
            elif self._abort is not None:
                return Exit(ExitReason.ABORTED, message=self._abort)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    async def _ask(self, api: Api) -> dict[str, Any] | None:
        """The Job itself, which a list that was begun before it does not show."""
        try:
            return await api.request("GET", f"/apis/batch/v1/namespaces/{api.namespace}/jobs/{self.name}")
        except Refused as refused:
            if refused.code == 404:
                return None
            raise

    async def _ask_pods(self, api: Api) -> list[dict[str, Any]]:
        """The Job's pods themselves."""
        query = [("labelSelector", f"{JOB_NAME}={self.name}")]
        found = await api.request("GET", f"/api/v1/namespaces/{api.namespace}/pods", query=query)
        pods: list[dict[str, Any]] = found["items"]
        return pods

    async def _why_without_pod(self, api: Api) -> str:
        """What the cluster says about a Job whose pod it does not make: a quota, a policy."""
        if time.time() - self._events[0].time < _POD_SECONDS:
            return ""
        about = f"involvedObject.kind=Job,involvedObject.name={self.name},reason=FailedCreate"
        try:
            found = await api.request(
                "GET", f"/api/v1/namespaces/{api.namespace}/events", query=[("fieldSelector", about)]
            )
        except Refused:  # events may be none of this user's business
            return ""
        return f"its pod cannot be made: {found['items'][-1]['message']}" if found["items"] else ""

    def _notice(self, api: Api, seen: Seen, container: str, *, at_the_end: bool = False) -> None:
        """Tell a change, and read the output if somebody wants it."""
        if seen.started is not None and seen.pod is not None:
            if self._events[-1].phase is Phase.QUEUED:
                self._tell(Phase.RUNNING)
            if at_the_end or seen.storing:
                self._silent.set()
            if self._pump is None and (self._log_wanted or at_the_end):
                self._pump = asyncio.ensure_future(pump(api, seen.pod, container, self._log, self._silent))
        elif not at_the_end and seen.message and seen.message != self._events[-1].message:
            self._tell(Phase.QUEUED, message=seen.message)

    def _late(
        self, seen: Seen, job: dict[str, Any] | None, settings: Settings, *, adopted: bool
    ) -> tuple[Exit | None, float]:
        """The end of an attempt that is late, or how long it may go on unseen."""
        now, bounds = time.time(), self._bounds
        rest = [_LONGEST_WAIT if seen.pod is not None else _POD_SECONDS]
        if seen.tentative and seen.started is not None:
            self._leaving = self._leaving or now
            rest.append(self._leaving + settings.grace_seconds - now)
            if rest[-1] <= 0:
                return seen.exit, 0
        if seen.started is None:
            if seen.tentative:
                self._unpulled = self._unpulled or now
                rest.append(self._unpulled + settings.image_pull_seconds - now)
                if rest[-1] <= 0:
                    return seen.exit, 0
            else:
                self._unpulled = None
            if bounds.queued is not None:
                # Whoever joins counts from when the Job was made, by the cluster's clock.
                begun = seconds(job["metadata"]["creationTimestamp"]) if adopted and job else self._events[0].time
                rest.append(begun + bounds.queued - now)
                if rest[-1] <= 0:
                    why = f": {seen.message}" if seen.message else ""
                    message = f"it was queued longer than {bounds.queued:g} s{why}"
                    return Exit(ExitReason.QUEUED_TOO_LONG, message=message), 0
        elif bounds.runtime is not None and not seen.storing:
            # The cluster's times are whole seconds, so that the own clock is better where it saw the beginning.
            self._began = self._began or (seen.started if adopted else now)
            rest.append(self._began + bounds.runtime - now)
            if rest[-1] <= 0:
                return Exit(ExitReason.TIMED_OUT, message=f"it ran longer than {bounds.runtime:g} s"), 0
        return None, min(rest)

    async def _drain(self) -> None:
        """Have the last lines before the pod goes."""
        if self._pump is not None:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._pump), _DRAIN_SECONDS)

    async def _remove(self, api: Api, observer: Observer, settings: Settings) -> None:
        """Delete the Job, its pods and its Secret, and wait until they are gone.

        The cluster's own collection of what a Job leaves is for clients that are gone: it may take a minute.
        """
        give_up = time.monotonic() + settings.grace_seconds + _REMOVAL_SECONDS + settings.patience_seconds
        core, batch = (f"/{group}/v1/namespaces/{api.namespace}" for group in ("api", "apis/batch"))
        await _delete(api, f"{batch}/jobs/{self.name}", propagationPolicy="Background")
        await _delete(api, f"{core}/secrets/{self.name}")
        asked: set[tuple[str, bool]] = set()
        while time.monotonic() < give_up:
            self._wake.clear()
            if observer.failure is not None:
                raise observer.failure
            pods = observer.pods(self.name)
            for pod in pods:
                # Once nothing of it runs there is nothing to wait for; kubelet may take its time to say so.
                at_once, uid = not may_run(pod), pod["metadata"]["uid"]
                if (uid, at_once) not in asked:
                    asked.add((uid, at_once))
                    grace = {"gracePeriodSeconds": 0} if at_once else {}
                    await _delete(api, f"{core}/pods/{pod['metadata']['name']}", **grace)
            seen = bool(pods) or not observer.ready or observer.job(self.name) is not None
            if not seen and await self._ask(api) is None:
                return
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 1.0)
        raise EngineError(
            f"attempt {self.name}: its pod does not end", hint=f"see `kubectl describe pods -l job-name={self.name}`"
        )

    def _tell(self, phase: Phase, how: Exit | None = None, message: str = "") -> None:
        self._events.append(AttemptEvent(phase, time.time(), how, message))
        self._changed.set()
        self._changed = asyncio.Event()

    def _fail(self, error: TaskSdkError) -> None:
        self.failure = error
        self._log.end()
        self.ended.set()
        self._changed.set()


async def _delete(api: Api, path: str, **options: Any) -> None:
    try:
        await api.request("DELETE", path, body={"apiVersion": "v1", "kind": "DeleteOptions", **options})
    except Refused as refused:
        if refused.code != 404:
            raise


def _container_of(job: dict[str, Any] | None) -> str:
    return str(((job or {}).get("metadata", {}).get("annotations") or {}).get(CONTAINER, ""))
