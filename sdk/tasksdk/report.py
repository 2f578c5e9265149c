"""The running task's page: `report.log(html)`, or `await report.log.aio(html)`."""

from __future__ import annotations

from tasksdk.context.current import ctx
from tasksdk.context.report import Report, Tab
from tasksdk.types.twin import BoundTwin

__all__ = ["Report", "Tab", "current_report", "flush", "get_tab", "log", "replace"]


def current_report() -> Report:
    """The running task's page; outside of a task one that nobody reads."""
    context = ctx()
    return Report("no task") if context is None else context.report


def get_tab(name: str, /, create_if_missing: bool = True) -> Tab:
    """The tab of that name."""
    return current_report().get_tab(name, create_if_missing=create_if_missing)


def _log(content: str, do_flush: bool = False) -> None:
    """Add HTML to the first tab."""
    current_report().log(content)
    if do_flush:
        _flush()


def _replace(content: str, do_flush: bool = False) -> None:
    """Put HTML in place of the first tab's."""
    current_report().replace(content)
    if do_flush:
        _flush()


def _flush() -> None:
    """Write the page now; otherwise it is written when the task ends."""
    context = ctx()
    if context is not None and context.output_path is not None:
        from tasksdk.types import storage

        storage.write(storage.join(context.output_path, "report.html"), context.report.html().encode(errors="replace"))


log, replace, flush = BoundTwin(_log), BoundTwin(_replace), BoundTwin(_flush)
