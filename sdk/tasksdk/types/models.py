"""pydantic models, as MessagePack with the JSON schema that pydantic gives them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pydantic
import pydantic_core
from pydantic.json_schema import GenerateJsonSchema

from tasksdk.types.converter import ANY_KIND, Converter, Plain
from tasksdk.types.hints import show
from tasksdk.types.mismatch import mismatch
from tasksdk.types.once import once
from tasksdk.types.schema import packed_type

if TYPE_CHECKING:
    from flyteidl2.core.types_pb2 import LiteralType

    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions

_BY_NAME: dict[str, Any] = (
    {"by_name": True, "by_alias": True} if tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 11) else {}
)
"""Models are dumped by the names of their fields; older versions read aliases alone, and are given them."""
_STORED = {"stored": True}


class ModelConverter(Converter):
    """A model: what pydantic dumps for JSON; files inside are uploaded on the way."""

    name, blocks = "Pydantic Transformer", True

    @once
    def kinds(self) -> frozenset[str]:
        """A dict, or anything for a root model."""
        return ANY_KIND if issubclass(self.python_class, pydantic.RootModel) else frozenset({"dict"})

    @once
    def literal_type(self) -> LiteralType:
        """A struct with pydantic's schema."""
        return packed_type(self, tag=self.name)

    def pack(self, value: Any, raw: RawData) -> Plain:
        """What pydantic dumps."""
        if type(value) is not self.python_class:
            lost = isinstance(value, self.python_class)
            raise mismatch(self.hint, value, "what its subclass adds would be lost" if lost else "")
        how: dict[str, Any] = {"round_trip": True, "context": {"raw_data": raw}, "by_alias": not _BY_NAME}
        try:
            # By itself pydantic only warns of a field that does not hold what it declares, and writes something else.
            return _dumped(value, {**how, "warnings": "error"})
        except pydantic_core.PydanticSerializationError as error:
            raise mismatch(self.hint, value, " ".join(str(error).split())) from None

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Lets pydantic read it as JSON, for its strict fields take more from JSON than from Python."""
        del raw
        try:
            text = json.dumps(plain)
        except TypeError:
            text = ""
        try:
            if text:
                return self.python_class.model_validate_json(text, context=_STORED, **_BY_NAME)
            return self.python_class.model_validate(plain, context=_STORED, **_BY_NAME)
        except pydantic.ValidationError as error:
            reasons = [f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()]
            raise mismatch(self.hint, plain, "; ".join(reasons)) from None

    def schema(self, known: Definitions) -> dict[str, Any]:
        """What pydantic says; the definitions of inner models join the others."""
        try:
            found: dict[str, Any] = self.python_class.model_json_schema(
                by_alias=not _BY_NAME, schema_generator=_QuietSchema
            )
        except pydantic.PydanticUserError:
            return {"type": "object", "title": show(self.hint)}
        known.found.update(found.pop("$defs", {}))
        return found


class _QuietSchema(GenerateJsonSchema):
    """Without a warning for each default that JSON cannot hold."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as the base declares it


def _dumped(value: Any, how: dict[str, Any]) -> Plain:
    try:
        return value.model_dump(mode="json", **how)
    except UnicodeDecodeError:
        return _plain(value.model_dump(mode="python", **how))


def _plain(value: Any) -> Plain:
    """A dump with bytes that are no text, for which JSON has no form."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return {pydantic_core.to_jsonable_python(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return pydantic_core.to_jsonable_python(value, inf_nan_mode="constants")
