from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

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
