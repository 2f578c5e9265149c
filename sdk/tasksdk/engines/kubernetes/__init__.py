"""Attempts as Jobs of a Kubernetes cluster."""

from tasksdk.engines.kubernetes.engine import KubernetesEngine

__all__ = ["KubernetesEngine"]
