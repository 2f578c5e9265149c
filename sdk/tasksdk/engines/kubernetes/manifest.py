"""The Job and the Secret that an attempt becomes."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from hashlib import sha256
from math import ceil
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tasksdk.engines.attempt import Mount
from tasksdk.engines.kubernetes.copilot import with_copilot
from tasksdk.engines.kubernetes.pod_template import PodBase, merged
from tasksdk.errors import TaskDefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.engines.kubernetes.settings import Accelerator, Placement, Settings, Storage

DOMAIN = "tasksdk.dev"
MANAGER = "tasksdk"
MANAGED_BY = "app.kubernetes.io/managed-by"
RUN = f"{DOMAIN}/run"
CONTAINER = f"{DOMAIN}/container"
# An unfinished submission (a Job without pods, waiting for its Secret) ends after this.
STAGED_SECONDS = 60


def label(text: str) -> str:
    """Text as the value of a label: at most 63 letters, digits, dots, dashes and underscores."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", text).strip("._-")
    if plain == text and len(text) <= 63:
        return text
    return f"{plain[:46].rstrip('._-')}-{sha256(text.encode()).hexdigest()[:16]}".lstrip("-")


def job_manifest(spec: AttemptSpec, settings: Settings, base: PodBase) -> dict[str, Any]:
    """The Job of an attempt; with secrets it is staged: without pods, until its Secret is there.

    Raises:
        TaskDefinitionError: the cluster has no name for something that the attempt needs.
    """
    if not spec.image:
        raise TaskDefinitionError(
            f"task {spec.task}: a pod needs an image", hint="set image= of the task or of its environment"
        )
    places = _placements(spec, settings)
    labels = {
        **settings.labels, **base.labels, **_all(place.labels for place in places),
        **{name: label(value) for name, value in spec.labels.items()},
        MANAGED_BY: MANAGER, RUN: label(spec.run), f"{DOMAIN}/action": label(spec.action),
        f"{DOMAIN}/task": label(spec.task), f"{DOMAIN}/attempt": str(spec.attempt),
    }  # fmt: skip
    if spec.queue:
        labels[f"{DOMAIN}/queue"] = label(spec.queue)
    if spec.interruptible is not None:
        labels[f"{DOMAIN}/interruptible"] = str(spec.interruptible).lower()
    annotations = {
        **settings.annotations, **base.annotations, **_all(place.annotations for place in places),
        f"{DOMAIN}/run-name": spec.run, f"{DOMAIN}/action-name": spec.action, f"{DOMAIN}/task-name": spec.task,
        CONTAINER: base.container,
    }  # fmt: skip
    pod = _pod_spec(spec, settings, base, places)
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": spec.name, "labels": labels, "annotations": annotations},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            # From 1.29 on; before, a pod that is deleted has a successor at once, which the client removes.
            "podReplacementPolicy": "Failed",
            "parallelism": 1,
            "ttlSecondsAfterFinished": ceil(settings.keep_seconds),
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod},
        },
    }
    if spec.secrets:
        job["spec"] |= {"parallelism": 0, "activeDeadlineSeconds": STAGED_SECONDS}
    return job


def secret_manifest(spec: AttemptSpec, job: Mapping[str, Any]) -> dict[str, Any]:
    """The Secret of an attempt, which goes when its Job goes."""
    metadata = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": spec.name,
            "labels": {MANAGED_BY: MANAGER, RUN: label(spec.run)},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "data": {f"s{n}": b64encode(one.reveal().encode()).decode() for n, one in enumerate(spec.secrets)},
    }


def verbatim(text: str) -> str:
    """Text that Kubernetes leaves as it is: it puts variables in for `$(NAME)`, in commands and in values."""
    return text.replace("$", "$$")


def _placements(spec: AttemptSpec, settings: Settings) -> list[Placement]:
    places = []
    if spec.queue is not None and spec.queue in settings.queues:
        places.append(settings.queues[spec.queue])
    if spec.interruptible:
        places.append(settings.interruptible)
    return places


def _container(spec: AttemptSpec, settings: Settings, base: PodBase) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": base.container,
        "image": spec.image,
        "env": [{"name": name, "value": verbatim(value)} for name, value in spec.env.items()],
    }
    container["env"] += [
        {"name": one.variable, "valueFrom": {"secretKeyRef": {"name": spec.name, "key": f"s{n}"}}}
        for n, one in enumerate(spec.secrets)
        if one.variable
    ]
    if spec.argv:
        container |= {"command": [verbatim(word) for word in spec.argv], "args": []}
    if spec.workdir:
        container["workingDir"] = spec.workdir
    if any("://" in folder for folder in spec.folders):
        container |= _logins(settings)
    return container


def _logins(settings: Settings) -> dict[str, Any]:
    """What a container that reads or writes the storage of runs needs for it."""
    found = [{"secretRef": {"name": name}} for name in settings.storage_secrets]
    return {"envFrom": found} if found else {}


def _pod_spec(spec: AttemptSpec, settings: Settings, base: PodBase, places: list[Placement]) -> dict[str, Any]:
    amounts, accelerator = _resources(spec, settings)
    volumes, mounts = _volumes(spec, settings)
    container = {**_container(spec, settings, base), "resources": amounts, "volumeMounts": mounts}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": ceil(settings.grace_seconds),
        "containers": [container],
        "volumes": volumes,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "tolerations": [dict(one) for place in places for one in place.tolerations],
        "nodeSelector": _all(place.node_selector for place in places),
    }
    if accelerator is not None:
        pod["nodeSelector"] |= accelerator.node_selector
        pod["tolerations"] += [dict(one) for one in accelerator.tolerations]
    for place in places:
        if place.priority_class:
            pod["priorityClassName"] = place.priority_class
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    elif "serviceAccountName" not in base.spec:
        pod["automountServiceAccountToken"] = False
    shared = any(mount["name"].startswith("storage-") and not mount.get("readOnly") for mount in mounts)
    if shared and settings.run_as == "client" and "securityContext" not in base.spec:
        pod["securityContext"] = {"runAsUser": os.getuid(), "runAsGroup": os.getgid()}
    if spec.max_runtime is not None:
        pod["activeDeadlineSeconds"] = max(1, ceil(spec.max_runtime + settings.start_seconds))
    whole = dict(merged(base.spec, pod))
    if spec.staging is None:
        return whole
    staging = spec.staging.replace(
        bring=tuple(map(verbatim, spec.staging.bring)), take=tuple(map(verbatim, spec.staging.take))
    )
    return with_copilot(whole, base.container, spec, staging, _logins(settings))


def _all(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for table in tables for key, value in table.items()}


def _resources(spec: AttemptSpec, settings: Settings) -> tuple[dict[str, Any], Accelerator | None]:
    requests, limits = spec.resources.requests, spec.resources.limits
    device, accelerator = spec.resources.device, None
    if device is not None:
        resource = settings.gpu_resource
        if device.device:
            accelerator = settings.devices.get(device.device)
            if accelerator is None:
                raise TaskDefinitionError(
                    f"task {spec.task}: the kubernetes engine has no name for the device {device.device!r}",
                    hint=f"say it in its setting devices: devices.{device.device} = {{node_selector = {{...}}}}",
                )
            resource = accelerator.resource
        if device.partition:
            resource = f"{resource.partition('/')[0]}/mig-{device.partition}"
        for amounts in (requests, limits):
            amounts[resource] = amounts.pop("gpu")
    return {name: amounts for name, amounts in (("requests", requests), ("limits", limits)) if amounts}, accelerator


def _volumes(spec: AttemptSpec, settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: dict[str, dict[str, Any]] = {}
    mounts: list[dict[str, Any]] = []
    wanted = [*(Mount(folder, folder) for folder in spec.folders), *spec.mounts]
    for one in wanted:
        if "://" in one.source:
            continue  # the task opens it by its address
        index, storage, inner = _shared(one.source, spec, settings)
        name = f"storage-{index}"
        volumes[name] = {"name": name, **storage.volume}
        mount: dict[str, Any] = {"name": name, "mountPath": one.target}
        sub_path = str(PurePosixPath(storage.sub_path) / inner)
        if sub_path != ".":
            mount["subPath"] = sub_path
        mounts.append({**mount, "readOnly": True} if one.read_only else mount)
    if any(one.mount for one in spec.secrets):
        volumes["secrets"] = {"name": "secrets", "secret": {"secretName": spec.name, "defaultMode": 0o444}}
        mounts += [
            {"name": "secrets", "mountPath": secret.mount, "subPath": f"s{n}", "readOnly": True}
            for n, secret in enumerate(spec.secrets)
            if secret.mount
        ]
    if spec.resources.shm is not None:
        memory: dict[str, Any] = {"medium": "Memory"}
        amount = spec.resources.shm_bytes or (spec.resources.memory_bytes or (0, 0))[1]
        volumes["shm"] = {"name": "shm", "emptyDir": memory | ({"sizeLimit": str(amount)} if amount else {})}
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - it is the pod's own
    return list(volumes.values()), mounts


def _shared(folder: str, spec: AttemptSpec, settings: Settings) -> tuple[int, Storage, PurePosixPath]:
    for index, storage in enumerate(settings.storage):
        try:
            return index, storage, PurePosixPath(folder).relative_to(storage.path)
        except ValueError:
            continue
    raise TaskDefinitionError(
        f"task {spec.task}: pods do not see the folder {folder}, where its inputs and outputs are",
        hint="keep runs on an address such as s3://..., or name the folder in the engine's setting storage",
    )
