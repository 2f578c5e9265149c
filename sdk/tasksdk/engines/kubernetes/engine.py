"""The engine: one Job per attempt."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.kubernetes.api import Api, Refused
from tasksdk.engines.kubernetes.attempt import Attempt, Bounds
from tasksdk.engines.kubernetes.manifest import MANAGED_BY, MANAGER, RUN, job_manifest, secret_manifest
from tasksdk.engines.kubernetes.observer import Observer
from tasksdk.engines.kubernetes.pod_template import PodBase, base_from_mapping, base_of
from tasksdk.engines.kubernetes.settings import read_settings
from tasksdk.errors import EngineError, UserInputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tasksdk.engines.attempt import AttemptEvent, AttemptSpec, LogLine

_PAUSE = 0.5


class KubernetesEngine:
    """Runs each attempt as a Job of its own; who submits the same name again joins the Job that is there."""

    name = "kubernetes"
    runs_images = True
    keeps_workers = False
    # The cluster has its own bounds; this one is for the client's connections.
    at_once = 1000

    def __init__(self, **settings: Any) -> None:
        self._settings = read_settings(settings)
        self.helper_image = self._settings.helper_image
        self._api = Api(self._settings)
        self._attempts: dict[str, Attempt] = {}
        self._observers: dict[str, Observer] = {}

    async def submit(self, spec: AttemptSpec) -> bool:
        """Create the Job, or join the one of this name."""
        known = self._attempts.get(spec.name)
        if known is not None and not known.ended.is_set():
            return True
        attempt = self._attempts[spec.name] = Attempt(spec.name, Bounds(spec.max_queued, spec.max_runtime))
        try:
            base = await self._base(spec)
            job, adopted = await self._create(spec, job_manifest(spec, self._settings, base))
            if spec.secrets and not job["spec"].get("parallelism"):
                await self._hand_over_secrets(spec, job)
        except UserInputError as error:
            attempt.end(Exit(ExitReason.NOT_STARTED, message=" ".join(str(error).split())))
        except Refused as refused:
            if refused.code not in {400, 422}:
                del self._attempts[spec.name]
                raise self._refusal(refused) from None
            attempt.end(Exit(ExitReason.NOT_STARTED, message=f"the cluster refuses its Job: {refused.message}"))
        except BaseException:
            self._attempts.pop(spec.name, None)
            raise
        else:
            self._start(attempt, job, adopted=adopted)
            return adopted
        return False

    async def watch(self, name: str) -> AsyncIterator[AttemptEvent]:
        """The phase of an attempt and its changes, to the end."""
        attempt = await self._find(name)
        async for event in attempt.events():
            yield event

    async def logs(self, name: str) -> AsyncIterator[LogLine]:
        """The output of an attempt, to its end; Kubernetes does not keep the two streams apart."""
        attempt = await self._find(name)
        async for line in attempt.lines():
            yield line

    def waiting(self, name: str, *, waits: bool) -> None:
        """Nothing: there are no workers."""

    async def abort(self, name: str, reason: str = "") -> None:
        """Delete the Job of an attempt with all that belongs to it."""
        attempt = await self._find(name)
        if not attempt.ended.is_set():
            await attempt.abort(reason)

    async def close(self) -> None:
        """Abort what runs, and let go of the connections."""
        going = [one.abort("the engine was closed") for one in self._attempts.values() if not one.ended.is_set()]
        await asyncio.gather(*going, return_exceptions=True)
        for observer in self._observers.values():
            await observer.close()
        self._observers.clear()
        await self._api.close()

    async def _base(self, spec: AttemptSpec) -> PodBase:
        base = base_of(spec.pod_template)
        if isinstance(base, PodBase):
            return base
        try:
            found = await self._api.request("GET", f"{await self._path('podtemplates')}/{base}")
        except Refused as refused:
            if refused.code != 404:
                raise
            raise UserInputError(
                f"pod_template: the cluster has no PodTemplate {base!r} in namespace {self._api.namespace}"
            ) from None
        return base_from_mapping(found)

    async def _path(self, kind: str) -> str:
        await self._api.open()
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        return f"{group}/namespaces/{self._api.namespace}/{kind}"

    async def _create(self, spec: AttemptSpec, manifest: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """The new Job, or the one that is there, and whether it was there."""
        path = await self._path("jobs")
        while True:
            try:
                return await self._api.request("POST", path, body=manifest), False
            except Refused as refused:
                if refused.reason != "AlreadyExists":
                    raise
            with suppress(Refused):
                job = await self._api.request("GET", f"{path}/{spec.name}")
                if job["metadata"].get("labels", {}).get(MANAGED_BY) != MANAGER:
                    where = f"namespace {self._api.namespace}"
                    raise EngineError(
                        f"attempt {spec.name}: {where} has a Job of that name that is not the SDK's",
                        hint="give the run another name, or set the engine's namespace",
                    )
                if _stale(job):
                    background = [("propagationPolicy", "Background")]
                    await self._api.request("DELETE", f"{path}/{spec.name}", query=background)
                elif not job["metadata"].get("deletionTimestamp"):
                    return job, True
            await asyncio.sleep(_PAUSE)  # the earlier one is being removed

    async def _hand_over_secrets(self, spec: AttemptSpec, job: dict[str, Any]) -> None:
        """Make the Secret that the Job owns, then let the Job begin."""
        try:
            await self._api.request("POST", await self._path("secrets"), body=secret_manifest(spec, job))
        except Refused as refused:
            if refused.reason != "AlreadyExists":
                raise
        begin = {"spec": {"parallelism": 1, "activeDeadlineSeconds": None}}
        await self._api.request("PATCH", f"{await self._path('jobs')}/{spec.name}", body=begin)

    def _start(self, attempt: Attempt, job: dict[str, Any], *, adopted: bool) -> None:
        run = job["metadata"]["labels"].get(RUN, "")
        observer = self._observers.get(run)
        if observer is None or observer.failure is not None:
            observer = self._observers[run] = Observer(self._api, f"{MANAGED_BY}={MANAGER},{RUN}={run}")
        attempt.task = asyncio.ensure_future(self._follow(attempt, run, observer, adopted=adopted))

    async def _follow(self, attempt: Attempt, run: str, observer: Observer, *, adopted: bool) -> None:
        try:
            await attempt.follow(self._api, observer, self._settings, adopted=adopted)
        finally:
            if observer.unsubscribe(attempt.name) and self._observers.get(run) is observer:
                del self._observers[run]
                await observer.close()

    async def _find(self, name: str) -> Attempt:
        """The attempt of that name, of this engine or of a client before it."""
        if name in self._attempts:
            return self._attempts[name]
        try:
            job = await self._api.request("GET", f"{await self._path('jobs')}/{name}")
        except Refused as refused:
            if refused.code != 404:
                raise self._refusal(refused) from None
            job = {"metadata": {}}
        if (job["metadata"].get("labels") or {}).get(MANAGED_BY) != MANAGER:
            raise EngineError(f"engine {self.name}: there is no attempt {name!r}")
        if name not in self._attempts:
            attempt = self._attempts[name] = Attempt(name, Bounds())
            self._start(attempt, job, adopted=True)
        return self._attempts[name]

    def _refusal(self, refused: Refused) -> EngineError:
        return EngineError(
            f"the Kubernetes API server refuses, in namespace {self._api.namespace}: {refused.message}",
            hint="the user needs to create, get, list, watch, patch and delete Jobs, Secrets and pods there",
        )


def _stale(job: dict[str, Any]) -> bool:
    """Whether a client died before it let this Job begin, and the Job's time for that is over."""
    return not job["spec"].get("parallelism") and any(
        condition.get("type") == "Failed" for condition in job.get("status", {}).get("conditions") or ()
    )
