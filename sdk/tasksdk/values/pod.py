"""Settings of a Kubernetes pod that the SDK has no word for."""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps, loads
from typing import Any

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError


class PodTemplate(Value):
    """A pod spec (a mapping, or a model of the Kubernetes client) under which the task's own settings are merged."""

    pod_spec: Any = None
    primary_container_name: str = "primary"
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None

    def check(self) -> None:
        """Refuse a spec that is neither a mapping nor a model."""
        if (
            self.pod_spec is not None
            and not isinstance(self.pod_spec, Mapping)
            and not hasattr(self.pod_spec, "to_dict")
        ):
            raise TaskDefinitionError(
                f"pod_template: {self.pod_spec!r} is not a pod spec",
                hint='write PodTemplate(pod_spec={"containers": [...]})',
            )

    def as_mapping(self) -> dict[str, Any]:
        """A copy of the pod spec, in Kubernetes' own names."""
        spec = self.pod_spec
        if hasattr(spec, "to_dict"):
            from tasksdk.errors import MissingDependencyError

            try:
                from kubernetes.client import ApiClient
            except ImportError:
                raise MissingDependencyError("a pod spec of the Kubernetes client needs that client") from None
            spec = ApiClient().sanitize_for_serialization(spec)
        copied: dict[str, Any] = loads(dumps(dict(spec or {})))
        return copied

    def __hash__(self) -> int:
        return hash((self.primary_container_name, repr(self.pod_spec)))
