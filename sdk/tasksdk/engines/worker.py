"""A live worker, as its engine sees it: a process that runs one attempt after another."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import Exit, ExitReason, SecretValue
from tasksdk.engines.frames import DONE, HEAD, REQUEST, STDOUT, TAKEN, WORKER, frame, kind_and_length

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.engines.followed import Followed

_KEPT = 1 << 12


class Worker:
    """Speaks with the process; a subclass knows where that runs, and how it is ended."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.fresh = True
        self._process = process
        self._spent = False
        self._errors = b""
        self._listening = asyncio.ensure_future(self._listen())

    @property
    def alive(self) -> bool:
        """Whether it may be asked again, as far as is known."""
        return not self._spent and self._process.returncode is None

    @property
    def complaint(self) -> str:
        """The last that it said about itself."""
        lines = self._errors.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")

    async def do(self, attempt: Followed) -> Exit | None:
        """Run an attempt to its end; None where the worker was not there any more to take it."""
        working = asyncio.ensure_future(self._do(attempt))
        stopped = asyncio.ensure_future(attempt.stop.wait())
        begun = asyncio.ensure_future(attempt.begun.wait())
        try:
            await asyncio.wait({working, stopped, begun}, return_when=asyncio.FIRST_COMPLETED)
            bound = attempt.spec.max_runtime
            if begun.done():
                await asyncio.wait({working, stopped}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                if not stopped.done():
                    attempt.end(Exit(ExitReason.TIMED_OUT, message=f"it ran longer than {bound:g} s"))
                self._spent = True
                await self.interrupt()
                await working
            return attempt.why or working.result()
        finally:
            self.fresh = False
            for task in (working, stopped, begun):
                task.cancel()

    async def interrupt(self) -> None:
        """End what it does, and itself with it."""
        raise NotImplementedError

    async def end(self) -> None:
        """End it, and leave nothing."""
        raise NotImplementedError

    async def verdict(self) -> Exit:
        """How it ended in the middle of an attempt, without having told."""
        raise NotImplementedError

    async def _do(self, attempt: Followed) -> Exit | None:
        said = self._process.stdout
        given = self._process.stdin
        assert said is not None
        assert given is not None
        streams = {name: asyncio.StreamReader() for name in ("stdout", "stderr")}
        copying = [asyncio.ensure_future(attempt.lines.copy(stream, name)) for name, stream in streams.items()]
        try:
            given.write(frame(REQUEST, _request(attempt.spec)))
            await given.drain()
            while True:
                kind, length = kind_and_length(await said.readexactly(HEAD))
                data = await said.readexactly(length)
                if kind == TAKEN:
                    attempt.running()
                elif kind == DONE:
                    told = json.loads(data)
                    self._spent = self._spent or told["last"]
                    return _exit(told["code"], memory=told["memory"])
                else:
                    streams["stdout" if kind == STDOUT else "stderr"].feed_data(data)
        except (asyncio.IncompleteReadError, ConnectionError):
            self._spent = True
            return await self.verdict() if attempt.begun.is_set() else None
        except asyncio.CancelledError:
            self._spent = True
            raise
        finally:
            for stream in streams.values():
                stream.feed_eof()
            await asyncio.gather(*copying)

    async def _listen(self) -> None:
        said = self._process.stderr
        assert said is not None
        while True:
            data = await said.read(_KEPT)
            if not data:
                return
            self._errors = (self._errors + data)[-_KEPT:]

    async def _gone(self) -> None:
        """Wait for a process that was ended."""
        self._spent = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()
        with suppress(OSError):
            await self._listening


class NotStartedError(Exception):
    """A worker could not be started; `how` is the end of the attempt that needed it."""

    def __init__(self, how: Exit) -> None:
        super().__init__(how.message)
        self.how = how


def worker_spec(spec: AttemptSpec) -> AttemptSpec:
    """What to start for attempts like this one: what they share, under a new name.

    The secrets in variables are no part of it: they come with each request, and no process starts with them.
    """
    reuse = spec.reuse
    assert reuse is not None
    mounted = (SecretValue(one.key, one.reveal(), mount=one.mount) for one in spec.secrets if one.mount is not None)
    return spec.replace(
        name=f"worker-{os.urandom(8).hex()}",
        argv=(*reuse.command, WORKER),
        env={name: value for name, value in spec.env.items() if name not in reuse.own},
        secrets=tuple(mounted),
        folders=reuse.folders,
        labels={**spec.labels, "worker": reuse.environment},
    )


def _request(spec: AttemptSpec) -> bytes:
    reuse = spec.reuse
    assert reuse is not None
    own = {name: spec.env[name] for name in reuse.own if name in spec.env}
    secrets = {one.variable: one.reveal() for one in spec.secrets if one.variable is not None}
    return json.dumps({"argv": spec.argv[len(reuse.command) :], "env": {**own, **secrets}}).encode()


def _exit(code: int, *, memory: bool) -> Exit:
    if memory:
        return Exit(ExitReason.OUT_OF_MEMORY, code, message="it needed more memory than it may have")
    if code == 0:
        return Exit(ExitReason.COMPLETED, 0)
    return Exit(ExitReason.ERROR, code, message=f"exit code {code}")
