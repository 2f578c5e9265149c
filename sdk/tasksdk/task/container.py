"""Tasks that are any container: files in, files out, no SDK inside."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tasksdk.errors import TaskDefinitionError
from tasksdk.interface import NativeInterface
from tasksdk.task.python_task import PythonTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flyteidl2.core.tasks_pb2 import Container, DataLoadingConfig

    from imagebuilder.spec.image import Image
    from tasksdk.literals import Literals
    from tasksdk.task.copilot import Format
    from tasksdk.task.serialization import SerializationContext
    from tasksdk.types.raw_data import RawData

_FORMATS = ("JSON", "YAML", "PROTO")


class ContainerTask(PythonTask):
    """Runs `command` with `arguments` in `image`.

    Inputs lie as files and folders of their names in `input_data_dir`, beside a document of all (`inputs.json`, `.yaml`
    or `.pb`); outputs are read in the same way from `output_data_dir`. `{{.inputs.x}}` in a word is input x as text.
    """

    runs_elsewhere = True
    is_awaited = True

    def __init__(  # noqa: PLR0917 - the documented signature
        self,
        name: str,
        image: str | Image,
        command: str | list[str],
        inputs: Mapping[str, Any] | None = None,
        arguments: list[str] | None = None,
        outputs: Mapping[str, Any] | None = None,
        input_data_dir: str | PurePosixPath = "/var/inputs",
        output_data_dir: str | PurePosixPath = "/var/outputs",
        metadata_format: Format = "JSON",
        local_logs: bool = True,
        **kwargs: Any,
    ) -> None:
        if not image:
            raise TaskDefinitionError(f"task {name}: a container needs an image", hint='write image="alpine:3"')
        if metadata_format not in _FORMATS:
            raise TaskDefinitionError(
                f"task {name}: metadata_format {metadata_format!r} is none", hint=f"there are: {', '.join(_FORMATS)}"
            )
        interface = NativeInterface(inputs, outputs)
        task_type = kwargs.pop("task_type", "raw-container")
        super().__init__(task_type, name, interface=interface, image=image, **kwargs)
        self.command = _words(command, name, "command")
        self.arguments = _words(arguments or [], name, "arguments")
        self.input_data_dir = _folder(input_data_dir, name, "input_data_dir")
        self.output_data_dir = _folder(output_data_dir, name, "output_data_dir")
        self.metadata_format = metadata_format
        self.local_logs = local_logs

    def container_args(self, sctx: SerializationContext) -> list[str]:  # noqa: ARG002 - the documented signature
        """Command and arguments; templates stay as they are, for whoever knows the inputs."""
        return [*self.command, *self.arguments]

    def data_loading_config(self, sctx: SerializationContext) -> DataLoadingConfig:  # noqa: ARG002 - as above
        """Both folders and the format of the document."""
        from flyteidl2.core.tasks_pb2 import DataLoadingConfig

        return DataLoadingConfig(
            enabled=True,
            input_path=self.input_data_dir,
            output_path=self.output_data_dir,
            format=self.metadata_format,
        )

    def get_container(self, settings: SerializationContext) -> Container:
        """The image with its own command."""
        from tasksdk.task.template import container_message

        return container_message(self, settings, self.arguments, self.command)

    def execute(self, **kwargs: Any) -> Any:
        """Run the container on this machine's Docker and read what it wrote."""
        from tasksdk.running.container_run import run_container

        return run_container(self, kwargs)

    def stage(self, literals: Literals, folder: Path) -> list[str]:
        """Write the inputs below `folder` and make a place for the outputs; the command for these inputs."""
        from tasksdk.task.copilot import plain_values, stage

        staged, written = folder / "inputs", folder / "outputs"
        values = plain_values(literals, self.native_interface.inputs, self.input_data_dir)
        stage(literals, values, staged, self.metadata_format)
        written.mkdir(parents=True, exist_ok=True)
        # The container's user is its image's business.
        for place in (folder, staged, written):
            place.chmod(0o777)
        return self.command_for(literals)

    def command_for(self, literals: Literals) -> list[str]:
        """Command and arguments for these inputs."""
        from tasksdk.task.copilot import plain_values, rendered

        values = plain_values(literals, self.native_interface.inputs, self.input_data_dir)
        return rendered([*self.command, *self.arguments], values, f"task {self.name}")

    def collect(self, folder: Path, raw: RawData) -> Literals:
        """Read the outputs that were written below `folder`."""
        from tasksdk.task.copilot import collect

        return collect(folder / "outputs", self.native_interface.outputs, self.metadata_format, raw, self.name)


def _words(given: str | Sequence[str], name: str, what: str) -> list[str]:
    if isinstance(given, str):
        try:
            return shlex.split(given)
        except ValueError as error:
            raise TaskDefinitionError(f"task {name}: the {what} {given!r} cannot be split: {error}") from None
    words: list[Any] = list(given)
    for word in words:
        if not isinstance(word, str):
            raise TaskDefinitionError(f"task {name}: {word!r} in {what} is not a text", hint=f"write {str(word)!r}")
    return words


def _folder(given: str | PurePosixPath, name: str, what: str) -> str:
    path = PurePosixPath(str(given))
    if not path.is_absolute() or ".." in path.parts or path == PurePosixPath("/"):
        raise TaskDefinitionError(
            f"task {name}: {what} {str(given)!r} is not an absolute path", hint=f'write {what}="/data"'
        )
    return str(path)
