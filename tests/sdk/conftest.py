from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLUSTER_IS_DOWN = 'the cluster is not up: run `scripts/kube up`, then eval "$(scripts/kube env)"'


@dataclass(frozen=True)
class Cluster:
    """A namespace of its own in a real Kubernetes, and the script that runs that."""

    script: str
    registry: str
    namespace: str
    core: Any
    batch: Any


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    script, registry = os.environ.get("IMAGEBUILDER_TEST_KUBE"), os.environ.get("IMAGEBUILDER_TEST_REGISTRY")
    assert script, CLUSTER_IS_DOWN
    assert registry, 'the engine is not up: run `scripts/engine up`, then eval "$(scripts/engine env)"'
    from kubernetes import client, config

    api = config.new_client_from_config()
    namespace = f"test-{uuid.uuid4().hex[:12]}"
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": namespace}})
    yield Cluster(script, registry, namespace, core, client.BatchV1Api(api))
    core.delete_namespace(namespace)
    api.rest_client.pool_manager.clear()
    api.close()


@pytest.fixture
def until_ended() -> Callable[[str], None]:
    """Waits for the end of the process of a pid file; one that was killed is still there for a moment."""

    def wait(pid: str) -> None:
        end = time.monotonic() + 60
        while not ended(int(pid)):
            assert time.monotonic() < end, f"process {pid.strip()} is still there"
            time.sleep(0.01)

    return wait


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def repository() -> str:
    """Where nothing is yet: another state of a checkout may have pushed an image with an SDK of the same version."""
    return f"tasks-{uuid.uuid4().hex[:12]}"
