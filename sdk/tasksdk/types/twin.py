"""Methods that work at once, and results that may be awaited all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from typing_extensions import Self

P = ParamSpec("P")
R = TypeVar("R")


class Ready:
    """A result that is there already; awaiting it gives itself."""

    def __await__(self) -> Generator[None, None, Self]:
        yield from ()
        return self


class ReadyText(Ready, str):
    """A text."""

    __slots__ = ()


class ReadyAnswer(int):
    """Yes or no, as a number; awaited as the `bool`, which no class can extend."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, bool]:
        yield from ()
        return bool(self)

    def __repr__(self) -> str:
        return repr(bool(self))


class ReadyNone:
    """Nothing: false, and None once it is awaited."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield from ()

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, ReadyNone)

    def __hash__(self) -> int:
        return hash(None)

    def __repr__(self) -> str:
        return "None"


class ReadyList(Ready, list[R]):
    """A list."""

    __slots__ = ()


class ReadyDict(Ready, dict[str, R]):
    """A mapping of names."""

    __slots__ = ()


class BoundTwin(Generic[P, R]):
    """A method of one object."""

    def __init__(self, method: Callable[P, R]) -> None:
        self._method = method

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Does it now."""
        return self._method(*args, **kwargs)

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Does it in a thread, so that the event loop goes on."""
        from tasksdk.types.waiting import in_thread

        return cast("R", await in_thread(self._method, *args, **kwargs))


class Twin(Generic[P, R]):
    """Makes a blocking method one that has an `.aio`."""

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> BoundTwin[P, R]:
        """The method of an object."""
        return BoundTwin(cast("Callable[P, R]", self._function.__get__(instance, owner)))
