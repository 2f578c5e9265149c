"""Says which layer of the spec failed, with the command, its last words, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imagebuilder.builders.hints import ENGINE, STEP, find
from imagebuilder.errors import BuildError, ImageBuilderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.builders.rawjson import ProgressReader, Vertex

_SHOWN_LINES = 15
_SHOWN_COMMAND = 160  # characters
_MEANINGS = {"137": " (killed: out of memory?)", "127": " (command not found)", "126": " (not executable)"}


def build_failure(name: str, reader: ProgressReader, titles: Sequence[str], code: int) -> ImageBuilderError:
    """Turn what a failed buildx left into an error for people."""
    vertex = reader.failed
    if vertex is None or vertex.layer is None:
        return _engine_failure(name, reader, vertex, code)
    where = f"layer {vertex.layer}, {titles[vertex.layer]}" if vertex.layer else titles[0]
    lines = reader.last_lines(vertex, _SHOWN_LINES)
    message = f"{name}: {where}: {_reason(vertex.error)}: {_one_line(vertex.title)}"
    if lines:
        message += "\n" + "\n".join(f"    {line}" for line in lines)
    text = "\n".join([*lines, vertex.error])
    hint = find(STEP, text) or find(ENGINE, text)
    return BuildError(message, hint=hint.advice if hint else None)


def _engine_failure(name: str, reader: ProgressReader, vertex: Vertex | None, code: int) -> ImageBuilderError:
    """What failed is no step of the spec: the engine itself, or the base image."""
    words = _own_words(reader.tail)
    what = _clean(vertex.error) if vertex else words
    if not what:
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        what = f"docker buildx {ended} and said nothing"
    hint = find(ENGINE, f"{what}\n{words}")
    return hint.error(f"{name}: {what}", hint=hint.advice) if hint else BuildError(f"{name}: {what}")


def _reason(error: str) -> str:
    found = re.search(r"exit code: (\d+)", error)
    if not found:
        # The whole step stands in it, which is more than a reader can use.
        return re.sub(r'^process ".*" did not complete successfully: ', "", _clean(error), flags=re.DOTALL)
    return f"the command failed with exit code {found[1]}{_MEANINGS.get(found[1], '')}"


def _own_words(tail: str) -> str:
    """The errors of buildx itself, or else what it said first: an unknown flag comes before the usage."""
    lines = [line for line in tail.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "error:", "unknown flag", "docker:"))]
    return _clean("\n".join(errors or lines[-5:]))


def _clean(text: str) -> str:
    return re.sub(r"^(?:ERROR: )?(?:failed to solve: )?(?:rpc error: code = \w+ desc = )?", "", text.strip())


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _SHOWN_COMMAND else f"{words[: _SHOWN_COMMAND - 1]}…"
