"""Cache versions from what a task's code and image are."""

from __future__ import annotations

import os
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

    from tasksdk.task.base import Task
    from tasksdk.values.cache import Cache, CachePolicy, VersionParameters

_parsing = allocate_lock()  # several threads that parse at once can end in a SystemError of CPython 3.11's


def _forked() -> None:
    global _parsing  # noqa: PLW0603 - another thread of the parent may have held it
    _parsing = allocate_lock()


os.register_at_fork(after_in_child=_forked)


class FunctionBodyPolicy:
    """The source of the function alone."""

    def get_version(self, salt: str, params: VersionParameters) -> str:
        """A digest of the source and the salt."""
        return _digest(salt, source_of(params.func) if params.func is not None else params.name)


class ReachedCodePolicy:
    """The function, and the user's own functions, classes and constants that it reaches by name."""

    def get_version(self, salt: str, params: VersionParameters) -> str:
        """A digest of all their sources and the salt."""
        if params.func is None:
            return _digest(salt, params.name)
        return _digest(salt, *sorted(f"{name}={text}" for name, text in _reached(params.func)))


class ImagePolicy:
    """The image: its identifier, or its reference as it is written."""

    def get_version(self, salt: str, params: VersionParameters) -> str:
        """A digest of the identifier and the salt."""
        image = params.image
        if image is None or isinstance(image, str):
            return _digest(salt, image or "auto")
        return _digest(salt, image.identifier)


DEFAULT_POLICIES: tuple[CachePolicy, ...] = (ReachedCodePolicy(), ImagePolicy())


def cache_version(task: Task, cache: Cache) -> str:
    """The version under which a task's results are kept: the one it gives, else what its policies say."""
    if cache.behavior == "override" and cache.version_override is not None:
        return _digest(cache.salt, cache.version_override) if cache.salt else cache.version_override
    from tasksdk.values.cache import VersionParameters

    params = VersionParameters(getattr(task, "func", None), task.image, task.name)
    policies = DEFAULT_POLICIES if cache.policies is None else cache.policies
    return _digest(cache.salt, *(policy.get_version(cache.salt, params) for policy in policies))


def version_of(task: Task) -> str:
    """What tells one state of a task from another: the version it was deployed under, else a digest of its code."""
    deployed = getattr(task, "version", None)
    if deployed:
        return str(deployed)
    known: str | None = task.__dict__.get("_code_version")
    if known is None:
        from tasksdk.values.cache import VersionParameters

        parameters = VersionParameters(getattr(task, "func", None), None, task.name)
        known = task.__dict__["_code_version"] = ReachedCodePolicy().get_version("", parameters)
    return known


def source_of(function: Callable[..., Any]) -> str:
    """The source of a function; of one without any (typed into a prompt), its code."""
    import inspect

    try:
        with _parsing:
            return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return repr(function) if code is None else _code_text(code)


def _reached(function: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [(function.__qualname__, function)]
    top = _package(function)
    while waiting:
        name, value = waiting.pop()
        value = getattr(value, "func", value)
        if id(value) in seen:
            continue
        seen.add(id(value))
        code = getattr(value, "__code__", None)
        if code is not None and _package(value) == top:
            yield name, source_of(value)
            waiting += _names_of(value, code)
        elif isinstance(value, type) and _package(value) == top:
            yield name, source_of(value)
            for member in vars(value).values():
                inner = getattr(member, "__func__", member)
                if hasattr(inner, "__code__"):
                    waiting.append((f"{name}.{inner.__qualname__}", inner))
        elif isinstance(value, (str, bytes, int, float, bool, tuple, frozenset)):
            yield name, repr(sorted(value, key=repr)) if isinstance(value, frozenset) else repr(value)


def _names_of(function: Any, code: CodeType) -> Iterator[tuple[str, Any]]:
    for name in _all_names(code):
        if name in function.__globals__:
            yield name, function.__globals__[name]
            module = function.__globals__[name]
            if hasattr(module, "__spec__") and hasattr(module, "__file__"):
                # `helpers.clean(x)`: the attribute's name stands in the code beside the module's.
                yield from (
                    (f"{name}.{attribute}", vars(module)[attribute])
                    for attribute in _all_names(code)
                    if attribute in vars(module)
                )
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"{function.__qualname__}.{name}", cell.cell_contents
        except ValueError:
            continue  # a name that is not bound yet


def _all_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names |= _all_names(constant)
    return names


def _package(value: Any) -> str:
    """The first part of a module's name: what a user's code has in common, and a library's has not."""
    import sys

    module = sys.modules.get(getattr(value, "__module__", None) or "")
    file = getattr(module, "__file__", None) or ""
    outside = "site-packages" in file or "dist-packages" in file or not file or file.startswith(sys.base_prefix)
    return (
        "the user's"
        if not outside or getattr(module, "__name__", "") == "__main__"
        else str(getattr(module, "__name__", ""))
    )


def _code_text(code: CodeType) -> str:
    constants = [_code_text(c) if hasattr(c, "co_code") else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _digest(*texts: str) -> str:
    from hashlib import blake2b

    found = blake2b(digest_size=16)
    for text in texts:
        data = text.encode(errors="surrogatepass")
        found.update(b"%d:" % len(data))
        found.update(data)
    return found.hexdigest()
