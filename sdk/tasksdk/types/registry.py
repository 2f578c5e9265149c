"""Which converter serves which type; modules are imported when a type of theirs first appears."""

from __future__ import annotations

import collections.abc
import enum
import sys
import threading
import typing
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args, get_origin

from tasksdk.errors import TaskDefinitionError
from tasksdk.types.hints import bare, is_union, is_untyped, show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasksdk.types.converter import Converter
    from tasksdk.types.transformer import AnyTransformer

_BY_NAME = {
    "builtins.NoneType": "scalars:NoneConverter",
    "builtins.bool": "scalars:BoolConverter",
    "builtins.int": "scalars:IntConverter",
    "builtins.float": "scalars:FloatConverter",
    "builtins.str": "scalars:StrConverter",
    "builtins.bytes": "scalars:BytesConverter",
    "builtins.bytearray": "scalars:BytesConverter",
    "datetime.datetime": "times:DatetimeConverter",
    "datetime.date": "times:DateConverter",
    "datetime.time": "times:TimeConverter",
    "datetime.timedelta": "times:TimedeltaConverter",
    "decimal.Decimal": "texts:TextConverter",
    "uuid.UUID": "texts:TextConverter",
    "fractions.Fraction": "texts:TextConverter",
}
_LISTS = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
}
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_FRAMES = ("tasksdk.types.dataframe.DataFrame", "pandas.DataFrame", "pandas.core.frame.DataFrame", "pyarrow.lib.Table")
_PATHS = ("pathlib.PurePath", "pathlib._local.PurePath")
_MOST = 4096

_lock = threading.Lock()


class _State:
    """What is registered; all are replaced as a whole, so that a conversion under way keeps what it began with."""

    custom: dict[Any, AnyTransformer] = {}  # noqa: RUF012 - replaced, never changed
    converters: dict[int, tuple[Any, Converter]] = {}  # noqa: RUF012 - replaced with the other

    frames: tuple[Any, ...] = ()


_state = _State()


def converter_for(hint: Any) -> Converter:
    """The converter of a type hint.

    Hints are told apart by identity: equal ones may differ in the order of their variants, or hold what has no hash.

    Raises:
        TaskDefinitionError: the hint names something that cannot be resolved.
    """
    known = _state.converters
    found = known.get(id(hint))
    if found is not None and found[0] is hint:
        return found[1]
    converter = _built(hint)
    if len(known) >= _MOST:
        known.clear()
    known[id(hint)] = (hint, converter)
    return converter


def register(transformer: AnyTransformer, additional_types: Iterable[Any] = (), *, override: bool = False) -> None:
    """Lets a transformer serve its class, the subclasses, and further types.

    Raises:
        TaskDefinitionError: another transformer serves one of the types, and `override` was not said.
    """
    types = [transformer.python_type, *additional_types]
    with _lock:
        for served in types:
            if not override and (
                served in _state.custom or _name(served) in _BY_NAME or served in (*_LISTS, *_DICTS, tuple)
            ):
                raise TaskDefinitionError(
                    f"{show(served)} has a transformer already",
                    hint="write TypeEngine.register(..., override=True) to replace it",
                )
        _state.custom = {**_state.custom, **dict.fromkeys(types, transformer)}
        _state.converters = {}


def register_frame(cls: Any) -> None:
    """Lets a class be one of frames, which encoders and decoders serve."""
    with _lock:
        if cls not in _state.frames and _name(cls) not in _FRAMES:
            _state.frames = (*_state.frames, cls)
            _state.converters = {}


def transformers() -> list[AnyTransformer]:
    """What users registered, the latest first."""
    return list(reversed(list(_state.custom.values())))


def _built(hint: Any) -> Converter:  # noqa: PLR0911 - one line per kind of hint
    plain, metadata = bare(hint)
    if is_untyped(plain):
        return _load("anything:AnyConverter", plain)
    origin = get_origin(plain) or plain
    custom = _custom_for(plain, origin)
    if custom is not None:
        from tasksdk.types.custom import CustomConverter

        return CustomConverter(plain, custom, origin)
    if is_union(plain):
        return _load("unions:UnionConverter", plain)
    if origin is typing.Literal:
        return _load("enums:ChoiceConverter", plain)
    if plain in _state.frames or _name(plain) in _FRAMES:
        return _load("tables:TableConverter", plain, metadata)
    if not isinstance(origin, type):
        return _load("pickles:PickleConverter", plain)
    return _of_class(plain, origin)


def _of_class(plain: Any, origin: type) -> Converter:
    arguments = get_args(plain)
    if origin is tuple:
        same = plain is tuple or (len(arguments) == 2 and arguments[1] is Ellipsis)
        return _load("lists:ListConverter", plain, tuple) if same else _load("records:TupleConverter", plain)
    if origin in _LISTS:
        return _load("lists:ListConverter", plain, _LISTS[origin])
    if origin in _DICTS:
        return _load("mappings:DictConverter" if arguments else "mappings:UntypedDictConverter", plain)
    name = _BY_NAME.get(_name(origin))
    if name is not None:
        return _load(name, plain)
    return _load(_of_structure(origin), plain)


def _of_structure(cls: type) -> str:  # noqa: PLR0911 - one line per kind of class
    """The converter of a class by what kind of class it is."""
    if issubclass(cls, enum.Enum):
        return "enums:EnumConverter"
    if hasattr(cls, "__required_keys__"):
        return "records:TypedDictConverter"
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return "records:NamedTupleConverter"
    if hasattr(cls, "declared_format") and "tasksdk.types.stored" in sys.modules:
        return "blobs:BlobConverter"
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and issubclass(cls, pydantic.BaseModel):
        return "models:ModelConverter"
    if hasattr(cls, "__dataclass_fields__"):
        return "records:DataclassConverter"
    return "texts:TextConverter" if any(_name(base) in _PATHS for base in cls.__mro__) else "pickles:PickleConverter"


def _custom_for(plain: Any, origin: Any) -> AnyTransformer | None:
    custom = _state.custom
    if not custom:
        return None
    try:
        exact = custom.get(plain)
    except TypeError:
        return None
    if exact is not None or not isinstance(origin, type):
        return exact
    return next((custom[base] for base in origin.__mro__ if base in custom), None)


def _name(cls: Any) -> str:
    return f"{getattr(cls, '__module__', '')}.{getattr(cls, '__qualname__', '')}"


def _load(place: str, *arguments: Any) -> Converter:
    module, _, name = place.partition(":")
    made: Converter = getattr(import_module(f"tasksdk.types.{module}"), name)(*arguments)
    return made
