"""`imagebuild doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagebuilder.cli import options
from imagebuilder.cli.document import print_document
from imagebuilder.cli.health import Health, State
from imagebuilder.config import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MARKS = {State.OK: ("✓", "green"), State.WARNING: ("!", "yellow"), State.PROBLEM: ("✗", "red")}
_INCOMPLETE = 3


@click.command("doctor", short_help="Say what is reachable, what is missing, and what to type.")
@options.registries
@options.as_json
def command(registries: tuple[str, ...], as_json: bool) -> int:
    """Say what is reachable, what is missing, and what to type.

    Exits with 0 when nothing is missing that building needs, else with 3.
    """
    from imagebuilder.cli import health

    findings = _at_once(health.checks(load(), registries))
    if as_json:
        print_document(
            {
                "ok": not any(item.state is State.PROBLEM for item in findings),
                "checks": [
                    {"what": item.what, "state": item.state.value, "found": item.found, "hint": item.hint}
                    for item in findings
                ],
            }
        )
    else:
        _show(findings)
    return _INCOMPLETE if any(item.state is State.PROBLEM for item in findings) else 0


def _at_once(checks: Sequence[Callable[[], list[Health]]]) -> list[Health]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max(1, len(checks))) as pool:
        return [finding for found in pool.map(lambda check: check(), checks) for finding in found]


def _show(findings: Sequence[Health]) -> None:
    width = max(len(item.what) for item in findings)
    for item in findings:
        mark, colour = _MARKS[item.state]
        click.echo(f"{click.style(mark, fg=colour)} {item.what:{width}}  {item.found}")
        if item.hint:
            click.echo(f"  {'':{width}}  {click.style('->', fg='cyan')} {item.hint}")
