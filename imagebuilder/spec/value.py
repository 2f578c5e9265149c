"""Frozen values with structural equality, at a fraction of the import time of `dataclasses`.

Importing `dataclasses` (which imports `inspect`) and generating two dozen classes takes longer than everything else
that `from imagebuilder import Image` does, and every process of a user's pays it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if sys.version_info >= (3, 11) or TYPE_CHECKING:
    from typing import dataclass_transform
else:

    def dataclass_transform(**_settings: Any) -> Any:
        """Do nothing: type checkers alone read the mark."""
        return lambda cls: cls


Self = TypeVar("Self", bound="Value")


@dataclass_transform(frozen_default=True)
class Value:
    """A frozen record: annotated names are its fields, class attributes their defaults.

    Names in `where` say where something is on this machine: they count in equality, not in the identifier.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    where: ClassVar[tuple[str, ...]] = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = [name for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar")]
        cls.fields = (*cls.fields, *own)
        type.__setattr__(cls, "__match_args__", cls.fields)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fields = self.fields
        if len(args) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} arguments, {len(args)} were given")
        given = dict(zip(fields, args, strict=False))
        for name, value in kwargs.items():
            if name not in fields or name in given:
                raise TypeError(f"{type(self).__name__} has no {name!r} to set, or has it twice")
            given[name] = value
        # In the order of the fields, however they were given: hash and repr read them in this order.
        for name in fields:
            if name not in given and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs {name!r}")
            self.__dict__[name] = given[name] if name in given else getattr(type(self), name)
        self.check()

    def check(self) -> None:
        """Refuse what no such value can be; for subclasses."""

    def replace(self: Self, **changes: Any) -> Self:  # noqa: PYI019 - typing has no Self in Python 3.10
        """The same value with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self).__name__, *self.__dict__.values()))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is a frozen value: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is a frozen value: {name!r} cannot be deleted")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"
