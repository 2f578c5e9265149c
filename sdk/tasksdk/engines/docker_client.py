"""The `docker` command, and what the engine asks of it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import tarfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.docker_command import create_arguments, is_own, variables

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec

# https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container/operation/ContainerInspect
_ENDED = {"created", "exited", "dead", "removing"}
# How long a Docker that is started anew may take, and how often it is asked; in seconds.
_PATIENCE = 60.0
_PAUSE = 0.5
_UNAVAILABLE = ("manifest unknown", "not found", "pull access denied", "denied", "no such host", "invalid reference")


class DockerClient:
    """Runs the command; images are pulled once, however many attempts wait for one."""

    def __init__(self, command: str, processes: int) -> None:
        self._command = command
        self._processes = processes
        self._pulls: dict[str, asyncio.Lock] = {}

    async def create(self, spec: AttemptSpec, *, interactive: bool = False) -> Exit | None:
        """Pull the image and create the container; how it ended where it cannot start."""
        assert spec.image is not None
        async with self._pulls.setdefault(spec.image, asyncio.Lock()):
            code, _, _ = await self.run("image", "inspect", spec.image)
            if code != 0:
                code, _, errors = await self.run("pull", "--quiet", spec.image)
                if code != 0:
                    return _not_pulled(spec.image, errors)
        # One of an earlier client that could not be removed: its name is ours.
        await self.remove(spec.name)
        listening = ("--interactive",) if interactive else ()
        user = f"{os.getuid()}:{os.getgid()}"
        arguments = create_arguments(spec, user, self._processes)
        code, _, errors = await self.run("create", *listening, *arguments, variables=variables(spec))
        if code != 0:
            return Exit(ExitReason.NOT_STARTED, message=last_line(errors))
        files = _secret_files(spec)
        if files:
            code, _, errors = await self.run("cp", "-", f"{spec.name}:/", given=files)
            if code != 0:
                return Exit(ExitReason.NOT_STARTED, message=last_line(errors))
        return None

    async def start(self, name: str, *, interactive: bool = False) -> asyncio.subprocess.Process:
        """Start a container, with its input and output as those of the process."""
        listening = ("--interactive",) if interactive else ()
        return await self._attached("start", "--attach", *listening, name, interactive=interactive)

    async def attach(self, name: str) -> asyncio.subprocess.Process:
        """The output of a container that runs, from now on."""
        return await self._attached("attach", "--no-stdin", "--sig-proxy=false", name)

    async def _attached(self, *arguments: str, interactive: bool = False) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._command,
            *arguments,
            stdin=asyncio.subprocess.PIPE if interactive else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def kill(self, name: str) -> None:
        """Kill a container."""
        await self.run("kill", name)

    async def remove(self, name: str) -> bool:
        """Remove a container, whatever it does; whether there is none of that name now."""
        try:
            code, _, errors = await self.run("rm", "--force", "--volumes", name)
        except OSError:
            return False
        return code == 0 or "no such container" in errors.lower()

    async def end_of(self, name: str) -> Exit | None:
        """How a container ended; None while it runs. A Docker that does not answer is waited for a while."""
        until = time.monotonic() + _PATIENCE
        while True:
            code, output, errors = await self.run("container", "inspect", "--format", "{{json .State}}", name)
            if code == 0:
                return exit_of_state(json.loads(output))
            if "no such container" in errors.lower():
                return Exit(ExitReason.LOST, message="its container is gone")
            if time.monotonic() > until:
                return Exit(ExitReason.LOST, message=f"Docker does not tell how it ended: {last_line(errors)}")
            await asyncio.sleep(_PAUSE)

    async def run(
        self, *arguments: str, variables: dict[str, str] | None = None, given: bytes | None = None
    ) -> tuple[int, str, str]:
        """Run it; its exit code, its output and its errors."""
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
    message = f"image {image} cannot be pulled: {last_line(errors)}"
    final = any(text in errors.lower() for text in _UNAVAILABLE)
    return Exit(ExitReason.IMAGE_UNAVAILABLE if final else ExitReason.LOST, message=message)


def exit_of_state(state: dict[str, Any]) -> Exit | None:
    """How a container of this state ended; None while it runs."""
    if state["Status"] not in _ENDED:
        return None
    code = int(state["ExitCode"])
    # Told also where a process that the task started was killed for its memory, and the task itself went on.
    if state.get("OOMKilled") and code != 0:
        return Exit(ExitReason.OUT_OF_MEMORY, code, message="it needed more memory than it may have")
    if state.get("Error"):
        return Exit(ExitReason.NOT_STARTED, code, message=str(state["Error"]))
    if state["Status"] == "created":
        return Exit(ExitReason.LOST, message="Docker did not start it")
    return _exit_of_code(code)


def _exit_of_code(code: int) -> Exit:
    number = code - 128
    if code == 0:
        return Exit(ExitReason.COMPLETED, 0)
    if number in set(signal.Signals):
        return Exit(ExitReason.SIGNALED, code, number, f"ended by {signal.Signals(number).name}")
    return Exit(ExitReason.ERROR, code, message=f"exit code {code}")


def last_line(text: str) -> str:
    """The last that a command said."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error response from daemon: ") if lines else "it says nothing"
