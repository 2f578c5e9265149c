"""Where the files of a container task lie, while an engine runs its attempt."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import AttemptSpec, Mount, Staging
from tasksdk.task.serialization import COPILOT
from tasksdk.types import storage
from tasksdk.wire import read_map

if TYPE_CHECKING:
    from tasksdk.context.current import TaskContext
    from tasksdk.engines.port import Engine
    from tasksdk.literals import Literals
    from tasksdk.running.images import Images
    from tasksdk.task.container import ContainerTask


class FolderFiles:
    """In a folder that the container sees too: the attempt's own, or a temporary one where that is an address."""

    def __init__(self, task: ContainerTask, context: TaskContext) -> None:
        assert context.output_path is not None
        self._task = task
        self._context = context
        self._folder = storage.local_path(context.output_path)
        self._own: Path | None = None

    def prepare(self, spec: AttemptSpec, literals: Literals) -> AttemptSpec:
        """Stage the inputs; the attempt that sees them."""
        task, folder = self._task, self._folder
        if folder is None:
            folder = self._folder = self._own = Path(tempfile.mkdtemp(prefix="tasksdk-container-"))
        mounts = (
            Mount(str(folder / "inputs"), task.input_data_dir, read_only=True),
            Mount(str(folder / "outputs"), task.output_data_dir),
        )
        argv = tuple(task.stage(literals, folder))
        return spec.replace(argv=argv, mounts=mounts, folders=(), env=dict(task.env_vars))

    def outputs(self) -> Literals:
        """What the container wrote."""
        assert self._folder is not None
        return self._task.collect(self._folder, self._context.raw_data_path)

    def remove(self) -> None:
        """Remove the temporary folder."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)


class BroughtFiles:
    """At the run's address: the engine's helper brings them to the container, and takes what that wrote."""

    def __init__(self, task: ContainerTask, context: TaskContext, image: str) -> None:
        assert context.input_path is not None
        assert context.output_path is not None
        self._task = task
        self._context = context
        self._image = image
        self._inputs: str = context.input_path
        self._outputs: str = context.output_path

    def prepare(self, spec: AttemptSpec, literals: Literals) -> AttemptSpec:
        """Write the template, which says all that the helper needs to know."""
        task = self._task
        template = f"{self._inputs.rpartition('/')[0]}/task.pb"
        storage.write(template, spec.template)
        where = (
            *("--template", template, "--inputs", self._inputs),
            *("--output-prefix", self._outputs, "--raw-output-data-prefix", self._context.raw_data),
        )
        staging = Staging(
            image=self._image,
            bring=(COPILOT, "inputs", *where),
            take=(COPILOT, "outputs", *where),
            inputs=task.input_data_dir,
            outputs=task.output_data_dir,
        )
        argv = tuple(task.command_for(literals))
        return spec.replace(argv=argv, staging=staging, folders=(), env=dict(task.env_vars))

    def outputs(self) -> Literals:
        """What the helper took."""
        return read_map(storage.read(storage.join(self._outputs, "outputs.pb")))

    def remove(self) -> None:
        """Nothing is on this machine."""


def files_of(task: ContainerTask, context: TaskContext, engine: Engine, images: Images) -> FolderFiles | BroughtFiles:
    """Where the files of this attempt lie."""
    assert context.output_path is not None
    if engine.helper_image is None or storage.local_path(context.output_path) is not None:
        return FolderFiles(task, context)
    return BroughtFiles(task, context, images.helper(engine.helper_image, context.output_path))
