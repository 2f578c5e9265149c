"""What the client tells an attempt about itself, through variables of its process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tasksdk.context.current import ActionID, GroupData
from tasksdk.script import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasksdk.context.current import Mode, TaskContext
    from tasksdk.task.base import Task

RUN, ACTION, ATTEMPT, MODE, VERSION = (f"TASKSDK_{name}" for name in ("RUN", "ACTION", "ATTEMPT", "MODE", "VERSION"))
GROUP, BASE, IMAGES = (f"TASKSDK_{name}" for name in ("GROUP", "BASE", "IMAGES"))
REPORT, MOST, CALLS = "TASKSDK_REPORT", "TASKSDK_MAX_INLINE_IO_BYTES", "TASKSDK_CALLS"
CUSTOM, LOG_LEVEL = "TASKSDK_CUSTOM_CONTEXT", "TASKSDK_LOG_LEVEL"
TOLD = (RUN, ACTION, ATTEMPT, MODE, VERSION, BASE, REPORT, MOST, GROUP, IMAGES, CALLS, SCRIPT, CUSTOM, LOG_LEVEL)


def variables_of(task: Task, context: TaskContext, script: str | None) -> dict[str, str]:
    """What cannot be known from the task's code: where it runs, and what an override changed.

    `script` is the name under which the client's `__main__` can be imported.
    """
    from json import dumps

    images = "\n".join(f"{identifier} {reference}" for identifier, reference in context.compiled_image_cache.items())
    told = {
        RUN: context.action.run_name,
        ACTION: context.action.name,
        ATTEMPT: str(context.action.attempt),
        MODE: context.mode,
        VERSION: context.version,
        BASE: context.run_base_dir,
        REPORT: str(int(task.report)),
        MOST: str(task.max_inline_io_bytes),
        GROUP: "" if context.group_data is None else context.group_data.name,
        IMAGES: images,
        # The client serves the mailbox that is there, and not that of an executor which the task itself starts.
        CALLS: context.output_path or "",
        SCRIPT: script or "",
        CUSTOM: dumps(dict(context.custom_context)) if context.custom_context else "",
        LOG_LEVEL: os.environ.get(LOG_LEVEL, ""),
    }
    return {name: value for name, value in told.items() if value}


def told_context(variables: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a `TaskContext` that the variables tell."""
    mode: Mode = variables.get(MODE, "remote")  # type: ignore[assignment] # a client wrote it
    group = variables.get(GROUP)
    return {
        "action": ActionID(variables.get(ACTION, "a0"), variables.get(RUN, ""), int(variables.get(ATTEMPT, "1"))),
        "version": variables.get(VERSION, ""),
        "mode": mode,
        "group_data": GroupData(group) if group else None,
        "custom_context": _texts(variables.get(CUSTOM)),
        "compiled_image_cache": dict(line.split(" ", 1) for line in variables.get(IMAGES, "").splitlines()),
    }


def _texts(told: str | None) -> dict[str, str]:
    if not told:
        return {}
    from json import loads

    found: dict[str, str] = loads(told)
    return found


def told_task(task: Task, variables: Mapping[str, str]) -> Task:
    """The task with what the client overrode, where its own code says otherwise."""
    report, most = variables.get(REPORT), variables.get(MOST)
    changes: dict[str, Any] = {}
    if report is not None and (report == "1") != task.report:
        changes["report"] = report == "1"
    if most is not None and int(most) != task.max_inline_io_bytes:
        changes["max_inline_io_bytes"] = int(most)
    return task.override(**changes) if changes else task
