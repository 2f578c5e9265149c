"""The end of a process of this machine."""

from __future__ import annotations

import asyncio
import os
import signal

from tasksdk.engines.attempt import Exit, ExitReason

_POLL = 0.02


async def exited(process: asyncio.subprocess.Process) -> None:
    """Wait for the process alone: asyncio's own wait lasts until all who share its output have ended."""
    if not hasattr(os, "pidfd_open"):
        while process.returncode is None:  # noqa: ASYNC110 - no event tells of it on this system
            await asyncio.sleep(_POLL)
        return
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    ended: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(handle, tell)
    try:
        await ended
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def exit_of(code: int | None) -> Exit:
    """The end that an exit code is; a negative one is a signal."""
    assert code is not None
    if code == 0:
        return Exit(ExitReason.COMPLETED, 0)
    if code > 0:
        return Exit(ExitReason.ERROR, code, message=f"exit code {code}")
    number = -code
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return Exit(ExitReason.SIGNALED, signal=number, message=f"ended by {name}")
