"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def specs(required: bool = True) -> Callable[[F], F]:
    """The Python files that hold images."""
    return click.argument("specs", metavar="SPEC...", nargs=-1, required=required, type=click.Path(path_type=Path))


def names(function: F) -> F:
    """Choose some of the images of a file."""
    return click.option(
        "--name",
        "names",
        metavar="NAME",
        multiple=True,
        help="Only the image of this variable, or of this name; repeatable.",
    )(function)


def registry(function: F) -> F:
    """Another registry than the spec's."""
    return click.option("--registry", metavar="HOST[/PATH]", help="Publish to this registry, whatever the spec says.")(
        function
    )


def platform(function: F) -> F:
    """Other platforms than the spec's."""
    return click.option(
        "--platform", metavar="OS/ARCH", multiple=True, help="For these platforms, whatever the spec says; repeatable."
    )(function)


def as_json(function: F) -> F:
    """One JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")(function)
