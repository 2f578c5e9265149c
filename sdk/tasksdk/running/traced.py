"""A step that an attempt recorded of itself, on its way to the client's record."""

from __future__ import annotations

from tasksdk.store.rows import ActionRow
from tasksdk.wire import NONE, plain, read_map, read_plain, write_map

_PLAIN = ("run", "name", "parent", "task", "group", "phase", "attempts", "started", "ended", "error")
_MAPS = ("inputs", "outputs")


def write_row(row: ActionRow) -> bytes:
    """A serialized `LiteralMap`: the columns, and the inputs and outputs under names with a prefix."""
    found = {name: plain(getattr(row, name)) or b"" for name in _PLAIN}
    for kind in _MAPS:
        written = getattr(row, kind)
        if written is not None:
            found[kind] = NONE
            found.update({f"{kind}.{name}": literal for name, literal in read_map(written).items()})
    return write_map(found)


def read_row(document: bytes) -> ActionRow:
    """The row."""
    found = read_map(document)
    columns = {name: read_plain(found[name]) for name in _PLAIN}
    for kind in _MAPS:
        prefix = f"{kind}."
        inner = {name[len(prefix) :]: literal for name, literal in found.items() if name.startswith(prefix)}
        columns[kind] = write_map(inner) if kind in found else None
    return ActionRow(**columns)
