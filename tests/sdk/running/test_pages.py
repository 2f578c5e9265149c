"""Pages of tasks: what users write on them, and the parts that the SDK writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tasksdk import DeckField, PythonTask, TaskEnvironment, ctx, run, with_runcontext
from tasksdk.store.database import database

env = TaskEnvironment("pages")


def test_a_page_has_the_parts_that_were_asked_for() -> None:
    @env.task(report=True)
    def paged(x: int) -> str:
        found = ctx()
        assert found is not None
        found.report.log("<p>mine</p>")
        if x < 0:
            raise ValueError("boom")
        return f"<{x}>"

    page = run(paged, 3).action.report
    assert page is not None
    text = page.read_text()
    for part in (
        "<p>mine</p>",
        "Source Code",
        "def paged",
        "Dependencies",
        "protobuf",
        "Timeline",
        "body",
        "&lt;3&gt;",
    ):
        assert part in text
    with pytest.raises(ValueError, match="boom"):
        with_runcontext(name="failed-page").run(paged, -1)
    [failed] = database().actions("failed-page")
    assert (
        "<pre>-1</pre>" in Path(database().folder, "runs", "failed-page", failed.name, "1", "report.html").read_text()
    )


def test_a_page_without_parts_is_the_users_own() -> None:
    class Paged(PythonTask):
        def execute(self, **kwargs: Any) -> Any:
            found = ctx()
            assert found is not None
            found.report.log("<p>mine</p>")

    page = run(Paged("paged", "paged", enable_deck=True, deck_fields=())).action.report
    assert page is not None
    assert "Source Code" not in page.read_text()
    parts = run(Paged("paged", "parts", enable_deck=True, deck_fields=(DeckField.TIMELINE,))).action.report
    assert parts is not None
    assert ("Timeline" in parts.read_text(), "Dependencies" in parts.read_text()) == (True, False)


def test_a_deprecated_task_says_so() -> None:
    @env.task(deprecated="use another")
    def old() -> int:
        return 1

    for call in (old, lambda: run(old)):
        with pytest.warns(FutureWarning, match="old is deprecated: use another"):
            call()
