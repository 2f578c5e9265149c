"""Tasks that are any container, under the newer API's name for their module."""

from __future__ import annotations

from tasksdk.task.container import ContainerTask

__all__ = ["ContainerTask"]
