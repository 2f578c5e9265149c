"""The parts of a task's page that the SDK writes itself."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from tasksdk.task.python_task import DeckField, PythonTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasksdk.context.report import Report
    from tasksdk.task.base import Task

_LONGEST = 2000  # characters of one value


def before_body(task: Task, report: Report, inputs: Mapping[str, Any]) -> None:
    """What is known before the body runs, so that it is there when that fails."""
    fields = task.deck_fields if isinstance(task, PythonTask) else ()
    if DeckField.SOURCE_CODE in fields and hasattr(task, "func"):
        from tasksdk.task.code_version import source_of

        report.get_tab(DeckField.SOURCE_CODE.value).replace(f"<pre>{escape(source_of(task.func))}</pre>")
    if DeckField.DEPENDENCIES in fields:
        report.get_tab(DeckField.DEPENDENCIES.value).replace(_table(_distributions()))
    if DeckField.INPUT in fields:
        report.get_tab(DeckField.INPUT.value).replace(_table({name: _shown(value) for name, value in inputs.items()}))


def after_body(task: Task, report: Report, seconds: Mapping[str, float], outputs: Mapping[str, Any]) -> None:
    """How long each step took, and what came of them."""
    fields = task.deck_fields if isinstance(task, PythonTask) else ()
    if DeckField.TIMELINE in fields:
        steps = {name: f"{value:.3f} s" for name, value in seconds.items()}
        report.get_tab(DeckField.TIMELINE.value).replace(_table(steps))
    if DeckField.OUTPUT in fields:
        report.get_tab(DeckField.OUTPUT.value).replace(_table({name: _shown(value) for name, value in outputs.items()}))


def _distributions() -> dict[str, str]:
    from importlib.metadata import distributions

    found = {str(each.metadata["Name"]): escape(str(each.version)) for each in distributions()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _shown(value: Any) -> str:
    """A value as HTML: its own, where it has some, as data frames do."""
    own = getattr(value, "_repr_html_", None)
    if own is not None and not isinstance(value, type):
        return str(own())
    text = repr(value)
    return f"<pre>{escape(text if len(text) <= _LONGEST else text[:_LONGEST] + ' ...')}</pre>"


def _table(rows: Mapping[str, str]) -> str:
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{shown}</td></tr>\n" for name, shown in rows.items())
    return f"<table>\n{lines}</table>"
