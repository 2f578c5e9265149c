"""Saying which part of which value is not what was expected."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasksdk.errors import ConversionError
from tasksdk.types.hints import show

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 120


def mismatch(hint: Any, value: object, why: str = "", *, hint_text: str | None = None) -> ConversionError:
    """The error that says: this was expected, that came."""
    expected = hint if isinstance(hint, str) else show(hint)
    reason = f": {why}" if why else ""
    return ConversionError(f"expected {expected}, got {shown(value)}{reason}", hint=hint_text)


def shown(value: object) -> str:
    """The kind of a value and a short form of it."""
    if value is None:
        return "None"
    kind = show(type(value))
    if isinstance(value, (str, bytes, list, tuple, dict, set, frozenset)) and len(value) > _LONGEST:
        return f"{kind} of {len(value)} items" if not isinstance(value, (str, bytes)) else f"{kind} {value[:80]!r}..."
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a class of the user's may print in any way, also not at all
        return kind
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    # The text of most classes begins with their name.
    return text if text.startswith(f"{kind}(") else f"{kind} {text}"


def shown_literal(literal: Any) -> str:
    """What form a literal has, for messages."""
    form = literal.WhichOneof("value")
    if form != "scalar":
        return f"a {form or 'literal without a value'}"
    scalar = literal.scalar
    kind = scalar.WhichOneof("value")
    if kind == "primitive":
        field = scalar.primitive.WhichOneof("value")
        return f"a primitive {field} {getattr(scalar.primitive, field)!r:.80}" if field else "an empty primitive"
    return f"a {kind} scalar" if kind else "an empty scalar"


@contextmanager
def inside(step: str) -> Iterator[None]:
    """Whatever does not fit in this block is named below `step`: "[3]", ".field"."""
    try:
        yield
    except ConversionError as error:
        error.place = step + error.place
        raise
