"""Tasks that were deployed, and runs, under the newer API's name for their module."""

from __future__ import annotations

from tasksdk.running.action import Action
from tasksdk.running.run import Run
from tasksdk.task.base import Task
from tasksdk.task.deployed import LazyEntity

__all__ = ["Action", "LazyEntity", "Run", "Task"]
