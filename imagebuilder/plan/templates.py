"""The Jinja2 templates of Dockerfiles and steps, which ship as data."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.errors import MissingDependencyError
from imagebuilder.plan import quote

if TYPE_CHECKING:
    from jinja2 import Environment

# In a wheel they lie beside this module, in a checkout at its top.
_FOLDERS = (
    Path(__file__).parent / "templates",
    Path(__file__).parents[2] / "dockerfiles" / "templates",
)


def render_template(name: str, **values: object) -> str:
    """Fill a template in; a name it uses and does not get is an error."""
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError(
            "rendering needs Jinja2, which is not installed", hint='run pip install "imagebuilder[engine]"'
        ) from error
    environment = Environment(
        loader=FileSystemLoader([str(folder) for folder in _FOLDERS]),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Dockerfiles and shell, quoted by the filters
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(sh=quote.shell, word=quote.word)
    return environment
