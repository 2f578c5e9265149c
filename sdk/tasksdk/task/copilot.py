"""How a container without the SDK gets its inputs and gives its outputs: as files, and as a document of them all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

from tasksdk.errors import (
    ConversionError,
    MissingDependencyError,
    TaskError,
    TaskInputError,
    TaskOutputError,
    TaskSdkError,
)
from tasksdk.literals import from_map_message, map_message, message, to_literal
from tasksdk.types import storage
from tasksdk.types.engine import TypeEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flyteidl2.core.types_pb2 import LiteralType

    from tasksdk.literals import Literals
    from tasksdk.types.raw_data import RawData

Format = Literal["JSON", "YAML", "PROTO"]
DOCUMENTS: dict[str, str] = {"JSON": "json", "YAML": "yaml", "PROTO": "pb"}
_TEMPLATE = re.compile(r"\{\{\s*\.[iI]nputs\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def plain_values(literals: Literals, kinds: Mapping[str, Any], seen: str) -> dict[str, Any]:
    """Each input as a value of JSON's kinds; a file or folder is its path below `seen`, where the container has it."""
    return {
        name: f"{seen}/{name}" if message(literal).scalar.blob.uri else _plain(literal, kinds[name], name)
        for name, literal in literals.items()
    }


def as_text(value: Any) -> str:
    """A plain value as a file's content, or as a part of a command."""
    return value if isinstance(value, str) else json.dumps(value)


def stage(literals: Literals, values: Mapping[str, Any], folder: Path, form: Format) -> None:
    """Write each input to a file or folder of its name, and the document of their plain values."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, literal in literals.items():
        blob = message(literal).scalar.blob
        if blob.uri:
            _fetch(blob.uri, folder / name)
        else:
            (folder / name).write_text(as_text(values[name]), encoding="utf-8")
    document = folder / f"inputs.{DOCUMENTS[form]}"
    if form == "PROTO":
        document.write_bytes(map_message(literals).SerializeToString(deterministic=True))
    elif form == "JSON":
        document.write_text(json.dumps(values), encoding="utf-8")
    else:
        # JSON's values are YAML's too (yaml.org/spec/1.2.2, section 1.3): one line per input reads well.
        lines = [f"{json.dumps(name)}: {json.dumps(value)}\n" for name, value in values.items()]
        document.write_text("".join(lines) or "{}\n", encoding="utf-8")


def _fetch(uri: str, path: Path) -> None:
    try:
        storage.fetch(uri, path)
    except TaskSdkError:
        raise
    except Exception as error:  # noqa: BLE001 - each store has its own
        raise TaskError(f"input {path.name}: {uri} cannot be fetched: {error}", code=type(error).__name__) from None


def rendered(words: Sequence[str], values: Mapping[str, Any], task: str) -> list[str]:
    """The words with every `{{.inputs.x}}` replaced by the text of input x.

    Raises:
        TaskInputError: there is no such input.
    """

    def text(match: re.Match[str]) -> str:
        if match[1] not in values:
            known = ", ".join(values) or "none"
            raise TaskInputError(f"{task} has no input {match[1]!r} for {match[0]}", hint=f"its inputs are: {known}")
        return as_text(values[match[1]])

    return [_TEMPLATE.sub(text, word) for word in words]


def collect(folder: Path, kinds: Mapping[str, Any], form: Format, raw: RawData, task: str) -> Literals:
    """Read each output from the document, or from the file or folder of its name.

    Raises:
        TaskOutputError: one is missing or not of its type.
    """
    document = folder / f"outputs.{DOCUMENTS[form]}"
    try:
        given = _document(document, form) if document.is_file() else {}
    except ValueError as error:
        raise TaskOutputError(f"task {task}: {document.name} cannot be read: {error}") from None
    found = {}
    for name, kind in kinds.items():
        where = f"task {task}: output {name}"
        value = given.get(name)
        try:
            if isinstance(value, bytes):
                found[name] = value
            elif name in given:
                found[name] = to_literal(value, kind, where)
            else:
                found[name] = _from_file(folder / name, kind, raw, where)
        except (ConversionError, ValueError) as error:
            raise TaskOutputError(f"{where}: {error}" if not str(error).startswith(where) else str(error)) from None
    return found


def _from_file(path: Path, kind: Any, raw: RawData, where: str) -> bytes:
    literal_type = TypeEngine.to_literal_type(kind)
    if literal_type.WhichOneof("type") == "blob":
        return _blob(path, literal_type, raw, where)
    if not path.is_file():
        raise TaskOutputError(
            f"{where}: it wrote no file {path.name}", hint=f"write it to {path.name} in the output folder"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise TaskOutputError(f"{where}: {path.name} is not text") from None
    if kind is str:
        # The shell's echo ends a text with a newline that is not meant.
        return to_literal(text.removesuffix("\n"), kind, where)
    try:
        return to_literal(_read(text.strip(), kind), kind, where)
    except ValueError:
        raise TaskOutputError(f"{where}: {text.strip()[:80]!r} is not a value of type {_name(kind)}") from None


def _read(text: str, kind: Any) -> Any:
    if kind is int:
        return int(text)
    if kind is float:
        return float(text)
    if kind is bool:
        if text.lower() not in {"true", "false"}:
            raise ValueError(text)
        return text.lower() == "true"
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _blob(path: Path, literal_type: LiteralType, raw: RawData, where: str) -> bytes:
    from flyteidl2.core.literals_pb2 import Blob, BlobMetadata, Scalar
    from flyteidl2.core.literals_pb2 import Literal as LiteralMessage

    multipart = literal_type.blob.dimensionality == literal_type.blob.MULTIPART
    if not (path.is_dir() if multipart else path.is_file()):
        what = "folder" if multipart else "file"
        raise TaskOutputError(f"{where}: it wrote no {what} {path.name}")
    blob = Blob(uri=raw.put(path), metadata=BlobMetadata(type=literal_type.blob))
    return LiteralMessage(scalar=Scalar(blob=blob)).SerializeToString(deterministic=True)


def _document(path: Path, form: Format) -> Mapping[str, Any]:
    if form == "PROTO":
        from flyteidl2.core.literals_pb2 import LiteralMap
        from google.protobuf.message import DecodeError

        try:
            return from_map_message(LiteralMap.FromString(path.read_bytes()))
        except DecodeError as error:
            raise ValueError(str(error)) from None
    text = path.read_text(encoding="utf-8")
    found = json.loads(text) if form == "JSON" else _yaml(text)
    if not isinstance(found, dict):
        raise ValueError("it is not a mapping of names to values")  # noqa: TRY004 - what a file holds, not an argument
    return found


def _yaml(text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped] # it ships no types
    except ImportError:
        raise MissingDependencyError("reading YAML needs the extra yaml", hint="pip install 'tasksdk[yaml]'") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _plain(literal: bytes, kind: Any, name: str) -> Any:
    """A value of JSON's own kinds."""
    value = TypeEngine.to_python_value(message(literal), kind, subject=name)
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return json.loads(json.dumps(value, default=_shown))


def _shown(value: object) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "__dataclass_fields__"):
        return vars(value)
    return str(value)


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
