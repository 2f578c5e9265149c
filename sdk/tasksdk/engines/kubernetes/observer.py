"""The Jobs and pods of a run as the cluster sees them, kept up to date by one watch of each kind."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from tasksdk.engines.kubernetes.api import Refused, Unreachable
from tasksdk.errors import EngineError, TaskSdkError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasksdk.engines.kubernetes.api import Api

_PAUSE = 0.2
_KINDS = {"job": "/apis/batch/v1/namespaces/{}/jobs", "pod": "/api/v1/namespaces/{}/pods"}
JOB_NAME = "job-name"


class Observer:
    """Follows everything that has one label; `failure` is why it can follow no longer."""

    def __init__(self, api: Api, selector: str) -> None:
        self.failure: TaskSdkError | None = None
        self._api = api
        self._selector = selector
        self._objects: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _KINDS}
        self._gone: dict[str, list[dict[str, Any]]] = {}
        self._listed = dict.fromkeys(_KINDS, False)
        self._wakes: dict[str, asyncio.Event] = {}
        self._tasks = [asyncio.ensure_future(self._follow(kind)) for kind in _KINDS]

    def subscribe(self, job: str) -> asyncio.Event:
        """An event that is set whenever something of this Job changes."""
        return self._wakes.setdefault(job, asyncio.Event())

    def unsubscribe(self, job: str) -> bool:
        """Forget a Job; whether no other is left."""
        self._wakes.pop(job, None)
        self._gone.pop(job, None)
        return not self._wakes

    @property
    def ready(self) -> bool:
        """Whether everything was listed once."""
        return all(self._listed.values())

    def job(self, name: str) -> dict[str, Any] | None:
        """The Job of this name."""
        return self._objects["job"].get(name)

    def pods(self, job: str) -> list[dict[str, Any]]:
        """The pods of a Job."""
        return [pod for pod in self._objects["pod"].values() if _job_of("pod", pod) == job]

    def gone(self, job: str) -> list[dict[str, Any]]:
        """Its pods that are no longer there, as they were at last."""
        return self._gone.get(job, [])

    async def close(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self, kind: str) -> None:
        path = _KINDS[kind].format(self._api.namespace)
        selector = [("labelSelector", self._selector)]
        try:
            while True:
                listing = await self._api.request("GET", path, query=selector)
                found = {one["metadata"]["name"]: one for one in listing["items"]}
                touched = [*self._objects[kind].items(), *found.items()]
                self._objects[kind] = found
                first, self._listed[kind] = not self._listed[kind], True
                self._wake(list(self._wakes) if first else (_job_of(kind, one) for _, one in touched))
                version = listing["metadata"]["resourceVersion"]
                # A watch that breaks, or starts too late, is followed by a new list.
                with suppress(Unreachable, Refused):
                    async with aclosing(self._api.watch(path, [*selector, ("resourceVersion", version)])) as events:
                        async for event in events:
                            self._apply(kind, event)
                await asyncio.sleep(_PAUSE)
        except TaskSdkError as error:
            self.failure = error
        except Refused as error:
            self.failure = _forbidden(error)
        finally:
            if self.failure is None:
                self.failure = EngineError(f"the {kind}s of {self._selector} are no longer watched")
            self._wake(list(self._wakes))

    def _apply(self, kind: str, event: dict[str, Any]) -> None:
        found = event["object"]
        name = found.get("metadata", {}).get("name")
        if not name:
            return
        if event["type"] == "DELETED":
            self._objects[kind].pop(name, None)
            job = _job_of(kind, found)
            if kind == "pod" and job in self._wakes:
                self._gone.setdefault(job, []).append(found)
        else:
            self._objects[kind][name] = found
        self._wake([_job_of(kind, found)])

    def _wake(self, jobs: Iterable[str]) -> None:
        for job in jobs:
            if job in self._wakes:
                self._wakes[job].set()


def _job_of(kind: str, found: dict[str, Any]) -> str:
    metadata = found["metadata"]
    return str(metadata["name"] if kind == "job" else (metadata.get("labels") or {}).get(JOB_NAME, ""))


def _forbidden(error: Refused) -> TaskSdkError:
    return EngineError(
        f"the Kubernetes API server refuses: {error.message}",
        hint="the user needs to create, get, list, watch and delete Jobs, Secrets and pods, and to read pods' logs",
    )
