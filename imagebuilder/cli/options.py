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


def lock(function: F) -> F:
    """Whether a lock must hold, or is left aside."""
    function = click.option(
        "--locked", is_flag=True, help="Fail when an image is not in its lock, or the lock is stale; say what moved."
    )(function)
    return click.option("--no-lock", is_flag=True, help="Leave imagebuilder.lock aside.")(function)


def secrets(function: F) -> F:
    """Where values of secrets are."""
    return click.option(
        "--secret", "secrets", metavar="KEY=RULE", callback=_rules, multiple=True,
        help="Where a secret's value is: KEY=env:VARIABLE, KEY=file:PATH or KEY=command:WORDS; repeatable.",
    )(function)  # fmt: skip


def _rules(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """KEY=RULE, as a mapping; the vault judges the rules."""
    rules = {}
    for value in values:
        key, _, rule = value.partition("=")
        if not key or not rule:
            raise click.BadParameter("write KEY=env:VARIABLE, KEY=file:PATH or KEY=command:WORDS", param=param)
        rules[key] = rule
    return rules


def as_json(function: F) -> F:
    """One JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")(function)
