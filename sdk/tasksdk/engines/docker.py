"""Attempts as containers of the local Docker, or of any that the `docker` command speaks to."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasksdk.engines.attempt import AttemptSpec, Exit, ExitReason
from tasksdk.engines.docker_command import create_arguments, is_own, variables
from tasksdk.engines.local_engine import LocalEngine
from tasksdk.engines.undertaker import Undertaker
from tasksdk.errors import EngineError

if TYPE_CHECKING:
    from tasksdk.engines.followed import Followed

_UNAVAILABLE = ("manifest unknown", "not found", "pull access denied", "denied", "no such host", "invalid reference")


class DockerEngine(LocalEngine):
    """Runs each attempt in a container of its own, which is removed when it has ended or the client is gone."""

    name = "docker"
    runs_images = True
    helper_image = None

    def __init__(self, *, command: str = "docker") -> None:
        super().__init__(Undertaker([command, "rm", "--force", "--volumes"]))
        self._command = command
        self._pulls: dict[str, asyncio.Lock] = {}

    async def _check(self, spec: AttemptSpec) -> None:  # noqa: ARG002 - one Docker for all
        try:
            code, _, errors = await self._docker("version", "--format", "{{.Server.Version}}")
        except OSError as error:
            code, errors = 1, str(error)
        if code != 0:
            raise EngineError(
                f"engine docker: no Docker answers: {_last(errors)}", hint="start Docker, or set DOCKER_HOST"
            )

    async def _to_its_end(self, attempt: Followed) -> Exit:
        name = attempt.spec.name
        self._undertaker.keep(name)
        try:
            return await self._container(attempt)
        finally:
            with suppress(OSError):
                await self._docker("rm", "--force", "--volumes", name)
            self._undertaker.forget(name)

    async def _container(self, attempt: Followed) -> Exit:
        spec = attempt.spec
        if spec.image is None:
            return Exit(ExitReason.NOT_STARTED, message="there is no image")
        waiting = asyncio.ensure_future(self._prepare(attempt))
        stopped = asyncio.ensure_future(attempt.stop.wait())
        try:
            await asyncio.wait({waiting, stopped}, timeout=spec.max_queued, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                attempt.end(Exit(ExitReason.QUEUED_TOO_LONG, message=f"it waited longer than {spec.max_queued} s"))
                return attempt.why or Exit(ExitReason.LOST)
            refused = waiting.result()
            if refused is not None:
                return refused
            return await self._follow(attempt)
        finally:
            for task in (waiting, stopped):
                task.cancel()
            await asyncio.wait({waiting, stopped})

    async def _prepare(self, attempt: Followed) -> Exit | None:
        """Pull and create; how it ended where it cannot start."""
        spec = attempt.spec
        assert spec.image is not None
        async with self._pulls.setdefault(spec.image, asyncio.Lock()):
            code, _, _ = await self._docker("image", "inspect", spec.image)
            if code != 0:
                code, _, errors = await self._docker("pull", "--quiet", spec.image)
                if code != 0:
                    return _not_pulled(spec.image, errors)
        # One of an earlier client that could not be removed: its name is ours.
        await self._docker("rm", "--force", "--volumes", spec.name)
        user = f"{os.getuid()}:{os.getgid()}"
        code, _, errors = await self._docker("create", *create_arguments(spec, user), variables=variables(spec))
        if code != 0:
            return Exit(ExitReason.NOT_STARTED, message=_last(errors))
        files = _secret_files(spec)
        if files:
            code, _, errors = await self._docker("cp", "-", f"{spec.name}:/", given=files)
            if code != 0:
                return Exit(ExitReason.NOT_STARTED, message=_last(errors))
        return None

    async def _follow(self, attempt: Followed) -> Exit:
        spec = attempt.spec
        process = await asyncio.create_subprocess_exec(
            *(self._command, "start", "--attach", spec.name),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        attempt.running()
        assert process.stdout is not None
        assert process.stderr is not None
        copying = asyncio.gather(
            attempt.lines.copy(process.stdout, "stdout"), attempt.lines.copy(process.stderr, "stderr")
        )
        ended, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(attempt.stop.wait())
        try:
            bound = spec.max_runtime
            await asyncio.wait({ended, stopped}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                if not stopped.done():
                    attempt.end(Exit(ExitReason.TIMED_OUT, message=f"it ran longer than {bound:g} s"))
                await self._docker("kill", spec.name)
                await ended
            state = await self._state(spec.name)
        finally:
            stopped.cancel()
            if not ended.done():
                process.kill()
            await copying
        return attempt.why or _exit(state)

    async def _state(self, name: str) -> dict[str, Any]:
        code, output, _ = await self._docker("container", "inspect", "--format", "{{json .State}}", name)
        found: dict[str, Any] = json.loads(output) if code == 0 else {}
        return found

    async def _docker(
        self, *arguments: str, variables: dict[str, str] | None = None, given: bytes | None = None
    ) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            self._command,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=None if variables is None else {**variables, **_own_variables()},
            start_new_session=True,
        )
        try:
            output, errors = await process.communicate(given)
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace"), errors.decode(errors="replace")


def _own_variables() -> dict[str, str]:
    """What the command itself needs; a task's variables must not change where it connects to."""
    return {name: value for name, value in os.environ.items() if is_own(name)}


def _secret_files(spec: AttemptSpec) -> bytes:
    """The mounted secrets as an archive that `docker cp` unpacks: they are in no folder of this machine."""
    mounted = [secret for secret in spec.secrets if secret.mount is not None]
    if not mounted:
        return b""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for secret in mounted:
            assert secret.mount is not None
            data = secret.reveal().encode()
            member = tarfile.TarInfo(secret.mount.lstrip("/"))
            member.size, member.mode = len(data), 0o444
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _not_pulled(image: str, errors: str) -> Exit:
    message = f"image {image} cannot be pulled: {_last(errors)}"
    final = any(text in errors.lower() for text in _UNAVAILABLE)
    return Exit(ExitReason.IMAGE_UNAVAILABLE if final else ExitReason.LOST, message=message)


def _exit(state: dict[str, Any]) -> Exit:
    if not state:
        return Exit(ExitReason.LOST, message="its container is gone")
    code = int(state["ExitCode"])
    if state.get("OOMKilled"):
        return Exit(ExitReason.OUT_OF_MEMORY, code, message="it needed more memory than it may have")
    if state.get("Error"):
        return Exit(ExitReason.NOT_STARTED, code, message=str(state["Error"]))
    if code == 0:
        return Exit(ExitReason.COMPLETED, 0)
    number = code - 128
    if number in set(signal.Signals):
        return Exit(ExitReason.SIGNALED, code, number, f"ended by {signal.Signals(number).name}")
    return Exit(ExitReason.ERROR, code, message=f"exit code {code}")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error response from daemon: ") if lines else "it says nothing"
