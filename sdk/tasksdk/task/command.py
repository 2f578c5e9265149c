"""The executor's command line: what a container with the SDK is told to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasksdk.task.base import Task
    from tasksdk.task.serialization import SerializationContext


def executor_command(task: Task, sctx: SerializationContext) -> list[str]:
    """The executor, its paths, the task's resolver and what that needs to find the task."""
    resolver = task.task_resolver
    bundle = [] if sctx.code_bundle is None else sctx.code_bundle.arguments()
    return [
        *sctx.executor,
        "--inputs",
        sctx.input_path,
        "--output-prefix",
        sctx.output_path,
        "--raw-output-data-prefix",
        sctx.raw_data_path,
        *bundle,
        "--resolver",
        resolver.location,
        "--",
        *resolver.loader_args(sctx, task),
    ]
