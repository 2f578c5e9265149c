"""Runs a container task on this machine's Docker."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagebuilder.spec.redact import Redactor
from tasksdk.context.current import ctx
from tasksdk.engines.attempt import AttemptSpec, Exit, ExitReason, Mount
from tasksdk.literals import to_literals, to_value
from tasksdk.running.engine_loop import engine_loop
from tasksdk.running.images import Images
from tasksdk.running.outcome import refuse_end
from tasksdk.running.secret_values import secret_values

if TYPE_CHECKING:
    from tasksdk.engines.port import Engine
    from tasksdk.task.container import ContainerTask

LOCAL_ENGINE = "docker"
_images = Images()


def run_container(task: ContainerTask, kwargs: dict[str, Any]) -> Any:
    """Stage the inputs, run the container, read the outputs; the staged files are gone afterwards."""
    interface, context = task.native_interface, ctx()
    folder = Path(tempfile.mkdtemp(prefix="tasksdk-container-"))
    try:
        literals = to_literals(kwargs, interface.inputs, task.name, context)
        argv = task.stage(literals, folder)
        spec = container_spec(task, folder, argv, _images.reference(task.image), f"local-{os.urandom(8).hex()}-1")
        loop = engine_loop()
        work = loop.submit(_follow(loop.engine(LOCAL_ENGINE), spec, shown=task.local_logs))
        try:
            ended = work.future.result()
        except BaseException:
            work.cancel()
            work.future.exception()
            raise
        refuse_end(f"task {task.name}", ended)
        if context is None:
            from tasksdk.types.raw_data import RawData

            # Outside of a run there is no folder for what the task gives: it stays until the process ends.
            raw = RawData(_kept())
        else:
            raw = context.raw_data_path
        outputs = task.collect(folder, raw)
        named = {name: to_value(outputs[name], kind, name, context) for name, kind in interface.outputs.items()}
        return interface.join_outputs(named)
    finally:
        _remove(folder)


def container_spec(task: ContainerTask, folder: Path, argv: list[str], image: str | None, name: str) -> AttemptSpec:
    """The attempt of a container task whose files lie in `folder`."""
    mounts = (
        Mount(str(folder / "inputs"), task.input_data_dir, read_only=True),
        Mount(str(folder / "outputs"), task.output_data_dir),
    )
    return AttemptSpec(
        name=name,
        run="local",
        action="container",
        attempt=1,
        task=task.name,
        argv=tuple(argv),
        image=image,
        env=dict(task.env_vars),
        secrets=secret_values(task.secrets, f"task {task.name}"),
        resources=task.resources,
        max_runtime=task.timeout.runtime_seconds,
        max_queued=task.timeout.queued_seconds,
        mounts=mounts,
    )


async def _follow(engine: Engine, spec: AttemptSpec, *, shown: bool) -> Exit:
    import asyncio

    mask = Redactor(secret.reveal() for secret in spec.secrets)
    await engine.submit(spec)
    try:
        async for line in engine.logs(spec.name):
            if shown:
                stream = sys.stderr if line.stream == "stderr" else sys.stdout
                stream.write(f"{mask(line.text)}\n")
                stream.flush()
        async for event in engine.watch(spec.name):
            if event.exit is not None:
                return event.exit
    except asyncio.CancelledError:
        await asyncio.shield(engine.abort(spec.name, "the client was interrupted"))
        raise
    return Exit(ExitReason.LOST, message="the engine stopped telling about it")


_folders: list[str] = []


def _kept() -> str:
    if not _folders:
        import atexit

        _folders.append(tempfile.mkdtemp(prefix="tasksdk-outputs-"))
        atexit.register(shutil.rmtree, _folders[0], ignore_errors=True)
    return _folders[0]


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
