"""The inputs of a run as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from tasksdk.types.hints import bare, is_union
from tasksdk.types.raw_data import ThisProcess

if TYPE_CHECKING:
    from tasksdk.task.base import Task


def given(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The inputs by name; where a dict is given for a dataclass or a model, what it describes.

    Raises:
        TaskInputError: they are not the task's.
        ConversionError: a dict describes no such value.
    """
    interface = task.native_interface
    values = interface.bind(args, kwargs, task.name)
    for name, value in values.items():
        if type(value) is dict:
            record = _record(interface.inputs[name])
            if record is not None:
                values[name] = _made(record, value, f"{task.name}: input {name}")
    return values


def _record(hint: Any) -> Any:
    """The class of a dataclass or model that a dict stands for; None where a dict is meant, or which is unclear."""
    plain = bare(hint)[0]
    kinds = [bare(variant)[0] for variant in get_args(plain)] if is_union(plain) else [plain]
    records = [kind for kind in kinds if hasattr(kind, "__dataclass_fields__") or hasattr(kind, "model_validate")]
    return records[0] if len(records) == 1 and len(kinds) <= 1 + (type(None) in kinds) else None


def _made(record: Any, value: dict[str, Any], where: str) -> Any:
    from tasksdk.errors import ConversionError
    from tasksdk.types.registry import converter_for

    try:
        return converter_for(record).unpack(value, ThisProcess())
    except ConversionError as error:
        error.named(where)
        raise
