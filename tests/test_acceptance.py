"""The acceptance pages name tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "acceptance.md"
LINK = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def rows() -> list[str]:
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!---)", line)]


@pytest.mark.parametrize(("name", "target"), sorted(set(LINK.findall(PAGE.read_text(encoding="utf-8")))))
def test_each_link_leads_to_a_test(name: str, target: str) -> None:
    path = (PAGE.parent / target).resolve()
    assert path.is_relative_to(PAGE.parents[2] / "tests")
    assert name in functions(path)


def test_each_case_has_a_test() -> None:
    cases = [row for row in rows() if not row.endswith("| test |")]
    assert len(cases) > 60
    assert [row for row in cases if not LINK.search(row)] == []


SDK_PAGE = PAGE.with_name("task-sdk-acceptance.md")
SDK_LINK = re.compile(r"\[`?(test_\w+)`?\]\(([^)]+\.py)\)")


@pytest.mark.parametrize(("name", "target"), sorted(set(SDK_LINK.findall(SDK_PAGE.read_text(encoding="utf-8")))))
def test_each_link_of_the_task_sdk_leads_to_tests(name: str, target: str) -> None:
    path = (SDK_PAGE.parent / target).resolve()
    assert path.is_relative_to(SDK_PAGE.parents[2] / "tests" / "sdk")
    # A whole module where all of it proves the row.
    assert name in functions(path) or (name == path.stem and any(test.startswith("test_") for test in functions(path)))


def test_each_row_of_the_task_sdk_has_a_test() -> None:
    found = [
        line for line in SDK_PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!---|item \|)", line)
    ]
    assert len(found) > 60
    assert [row for row in found if not SDK_LINK.search(row.rpartition(" | ")[2])] == []
