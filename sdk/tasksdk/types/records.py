"""Dataclasses, named tuples, typed dicts and tuples: fields of known types, as MessagePack with a JSON schema."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, get_args, get_origin

from tasksdk.errors import TaskDefinitionError
from tasksdk.types.converter import Converter, Plain, binary_literal
from tasksdk.types.hints import fields_of, show, variables_of
from tasksdk.types.mismatch import inside, mismatch
from tasksdk.types.msgpack import pack
from tasksdk.types.once import once
from tasksdk.types.schema import packed_type

if TYPE_CHECKING:
    from flyteidl2.core.literals_pb2 import Literal
    from flyteidl2.core.types_pb2 import LiteralType

    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions

UNSET = object()


class RecordConverter(Converter):
    """A value with fields."""

    kinds = frozenset({"dict"})

    def __init__(self, hint: Any, python_class: Any = None) -> None:
        super().__init__(hint, python_class or get_origin(hint) or hint)

    @once
    def hints(self) -> dict[str, Any]:
        """The type of each field."""
        return fields_of(self.python_class, variables_of(self.hint))

    @once
    def fields(self) -> dict[str, Converter]:
        """The converter of each field."""
        from tasksdk.types.registry import converter_for

        found = {}
        for name, hint in self.hints.items():
            try:
                found[name] = converter_for(hint)
            except TaskDefinitionError as error:
                raise TaskDefinitionError(f"{show(self.hint)}.{name}: {error.message}", hint=error.hint) from None
        return found

    @property
    def parts(self) -> tuple[Converter, ...]:  # type: ignore[override]  # worked out when asked, for types may contain themselves
        """The fields."""
        return tuple(self.fields.values())

    @property
    def optional(self) -> frozenset[str]:
        """The fields that may be missing."""
        return frozenset()

    def default(self, name: str) -> Any:
        """The default of a field."""
        del name
        return UNSET

    @once
    def literal_type(self) -> LiteralType:
        """A struct with the schema of the fields."""
        return packed_type(self, tag=self.name)

    def get(self, value: Any, name: str) -> Any:
        """A field of a value."""
        return getattr(value, name)

    def checked(self, value: Any) -> Any:
        """The value, where it is of this class."""
        if type(value) is not self.python_class:
            lost = isinstance(self.python_class, type) and isinstance(value, self.python_class)
            raise mismatch(self.hint, value, "what its subclass adds would be lost" if lost else "")
        return value

    def pack(self, value: Any, raw: RawData) -> Plain:
        """A dict of the fields."""
        self.checked(value)
        packed = {}
        for name, field in self.fields.items():
            try:
                found = self.get(value, name)
            except (AttributeError, KeyError):
                if name in self.optional:
                    continue
                raise mismatch(self.hint, value, f"its field {name} is not set") from None
            with inside(f".{name}"):
                packed[name] = field.pack(found, raw)
        return packed

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads a dict; what it holds beside the fields is ignored, for a class may lose a field."""
        if not isinstance(plain, dict):
            raise mismatch(self.hint, plain)
        found = {}
        for name, field in self.fields.items():
            if name in plain:
                with inside(f".{name}"):
                    found[name] = field.unpack(plain[name], raw)
        missing = [name for name in self.fields if name not in found and name not in self.optional]
        if missing:
            raise mismatch(self.hint, plain, f"it lacks {', '.join(missing)}")
        return self.made(found)

    def made(self, found: dict[str, Any]) -> Any:
        """The value of its fields."""
        return self.python_class(**found)

    def schema(self, known: Definitions) -> dict[str, Any]:
        """An object."""
        return known.of(show(self.hint), lambda: self._described(known))

    def _described(self, known: Definitions) -> dict[str, Any]:
        properties = {}
        for name, field in self.fields.items():
            default = self.default(name)
            properties[name] = {**field.schema(known), **({"default": default} if _is_json(default) else {})}
        required = [name for name in self.fields if name not in self.optional]
        return {
            "type": "object",
            "title": show(self.hint),
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }


class DataclassConverter(RecordConverter):
    """A dataclass; fields that its constructor does not take are set afterwards."""

    name = "Object-Dataclass-Transformer"

    @once
    def _fields(self) -> dict[str, dataclasses.Field[Any]]:
        return {field.name: field for field in dataclasses.fields(self.python_class)}

    @once
    def hints(self) -> dict[str, Any]:
        """The types of the fields, without class variables; init-only variables need a default."""
        found = super().hints
        for name, hint in found.items():
            if isinstance(hint, dataclasses.InitVar) and not hasattr(self.python_class, name):
                raise TaskDefinitionError(
                    f"{show(self.hint)}.{name} is an InitVar without a default, which no literal can restore",
                    hint="give it a default, or make it a field",
                )
        return {name: found[name] for name in self._fields}

    @once
    def optional(self) -> frozenset[str]:
        """The fields with a default, and those set by the class itself."""
        return frozenset(
            name
            for name, field in self._fields.items()
            if not field.init
            or field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )

    def default(self, name: str) -> Any:
        """The default, or what its factory makes where that is a plain empty container."""
        field = self._fields[name]
        if field.default_factory in (list, dict):
            return field.default_factory()
        return UNSET if field.default is dataclasses.MISSING else field.default

    def made(self, found: dict[str, Any]) -> Any:
        """Calls the constructor."""
        value = self.python_class(**{name: item for name, item in found.items() if self._fields[name].init})
        for name, item in found.items():
            if not self._fields[name].init:
                object.__setattr__(value, name, item)
        return value


class NamedTupleConverter(RecordConverter):
    """A named tuple."""

    name = "NamedTuple"

    @once
    def hints(self) -> dict[str, Any]:
        """The types of the fields; those of a plain collections.namedtuple are unknown."""
        found = super().hints
        return {name: found.get(name, Any) for name in self.python_class._fields}

    @property
    def optional(self) -> frozenset[str]:
        """The fields with a default."""
        return frozenset(self.python_class._field_defaults)

    def default(self, name: str) -> Any:
        """The default of a field."""
        return self.python_class._field_defaults.get(name, UNSET)


class TypedDictConverter(RecordConverter):
    """A dict with known keys."""

    name = "TypedDict"

    @property
    def optional(self) -> frozenset[str]:
        """The keys that are not required."""
        return frozenset(self.python_class.__optional_keys__)

    def checked(self, value: Any) -> Any:
        """A dict without unknown keys."""
        if not isinstance(value, dict):
            raise mismatch(self.hint, value)
        if unknown := [key for key in value if key not in self.fields]:
            raise mismatch(self.hint, value, f"it has no key {', '.join(map(repr, unknown))}")
        return value

    def get(self, value: Any, name: str) -> Any:
        """An item."""
        return value[name]

    def made(self, found: dict[str, Any]) -> Any:
        """A dict."""
        return found

    def rank(self, value: object) -> int:
        """A dict may be one."""
        return 1 if isinstance(value, dict) else 2


class TupleConverter(RecordConverter):
    """A tuple of known length: inside others a list, and alone a dict of item_0, item_1 and so on."""

    name, kinds = "Tuple", frozenset({"list"})

    @once
    def hints(self) -> dict[str, Any]:
        """The types of the items."""
        return {f"item_{place}": hint for place, hint in enumerate(get_args(self.hint))}

    def checked(self, value: Any) -> Any:
        """A tuple of this length."""
        if not isinstance(value, tuple):
            raise mismatch(self.hint, value)
        if len(value) != len(self.hints):
            raise mismatch(self.hint, value, f"it has {len(value)} items instead of {len(self.hints)}")
        return value

    def get(self, value: Any, name: str) -> Any:
        """An item by its place."""
        return value[int(name.removeprefix("item_"))]

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads a dict or a list."""
        if isinstance(plain, (list, tuple)):
            if len(plain) != len(self.hints):
                raise mismatch(self.hint, plain, f"it has {len(plain)} items instead of {len(self.hints)}")
            plain = dict(zip(self.hints, plain, strict=True))
        return super().unpack(plain, raw)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """The dict, as MessagePack."""
        return binary_literal(pack(dict(zip(self.hints, self.pack(value, raw), strict=True))))

    def pack(self, value: Any, raw: RawData) -> Plain:
        """A list."""
        items = super().pack(value, raw)
        return list(items.values())

    def made(self, found: dict[str, Any]) -> Any:
        """A tuple."""
        return tuple(found.values())


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return type(value) in (type(None), bool, int, str)
