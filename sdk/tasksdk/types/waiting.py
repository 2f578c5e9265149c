"""Waiting for a user's coroutine from code that is not one."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

_loop: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("tasksdk_conversion_loop", default=None)


def on_loop() -> bool:
    """Whether an event loop runs in this thread."""
    from asyncio import get_running_loop

    try:
        get_running_loop()
    except RuntimeError:
        return False
    return True


async def in_thread(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Runs blocking code beside the event loop; coroutines it meets run in this loop."""
    import asyncio

    token = _loop.set(asyncio.get_running_loop())
    try:
        return await asyncio.to_thread(function, *arguments, **keywords)
    finally:
        _loop.reset(token)


def finished(awaitable: Awaitable[Any]) -> Any:
    """The result of an awaitable: in the loop that waits for this thread, or in a loop of its own."""
    import asyncio

    async def awaited() -> Any:
        return await awaitable

    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    home = _loop.get()
    if running is None:
        if home is not None and home.is_running():
            return asyncio.run_coroutine_threadsafe(awaited(), home).result()
        return asyncio.run(awaited())
    # Called without await inside a coroutine: this loop is blocked, so the work needs another.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, thread_name_prefix="tasksdk-conversion") as pool:
        return pool.submit(copy_context().run, asyncio.run, awaited()).result()
