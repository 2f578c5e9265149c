"""The options of a Python layer as arguments of uv."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.plan.secrets import index_name

if TYPE_CHECKING:
    from imagebuilder.spec.credential import Index
    from imagebuilder.spec.layers import PipOptions


def pip_arguments(options: PipOptions) -> tuple[str, ...]:
    """Arguments of `uv pip install`, and of `uv sync`, which has the same names; extra ones come last, so they win."""
    return (*_indexes(options), *(("--prerelease", "allow") if options.pre else ()), *options.extra_args)


def _indexes(options: PipOptions) -> tuple[str, ...]:
    arguments: list[str] = []
    if options.index_url is not None:
        arguments += ["--default-index", _named(options.index_url)]
    for index in options.extra_index_urls:
        arguments += ["--index", _named(index)]
    return tuple(arguments)


def _named(index: Index) -> str:
    """`name=url` where there are credentials: uv finds them in variables that carry the name."""
    return f"{index_name(index)}={index.url}" if index.credential else index.url
