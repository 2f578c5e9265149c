"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from imagebuilder.errors import InvalidReferenceError
from imagebuilder.spec.reference import Reference

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
    return click.option(
        "--registry",
        metavar="HOST[/PATH]",
        callback=_registry,
        help="Publish to this registry, whatever the spec says.",
    )(function)


def registries(function: F) -> F:
    """Registries to look at."""
    return click.option(
        "--registry",
        "registries",
        metavar="HOST[/PATH]",
        multiple=True,
        callback=lambda ctx, param, values: tuple(_registry(ctx, param, value) for value in values),
        help="Ask this registry too; repeatable.",
    )(function)


def _registry(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """HOST[/PATH], without a slash at its end."""
    if value is None:
        return None
    _, scheme, rest = value.rpartition("://")
    if scheme:
        right = rest.partition("@")[2] or rest
        raise click.BadParameter(f"a registry is named without a scheme: write {right.strip('/')}", param=param)
    value = value.rstrip("/")
    try:
        reference = Reference.parse(f"{value}/name")
    except InvalidReferenceError as error:
        raise click.BadParameter(
            f"{value!r} is no registry, write ghcr.io/team: {error.message}", param=param
        ) from None
    if not value or reference.tag or reference.digest:
        raise click.BadParameter(f"{value!r} is no registry, write ghcr.io/team", param=param)
    return value


def platform(function: F) -> F:
    """Other platforms than the spec's."""
    return click.option(
        "--platform", metavar="OS/ARCH", multiple=True, help="For these platforms, whatever the spec says; repeatable."
    )(function)


def as_json(function: F) -> F:
    """One JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")(function)
