"""`tasksdk-copilot`: moves the files of a container that knows nothing of the SDK, before and after it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tasksdk.executor import place
from tasksdk.executor.failure import failure_of
from tasksdk.task.serialization import COPILOT

if TYPE_CHECKING:
    from argparse import Namespace

    from flyteidl2.core.tasks_pb2 import DataLoadingConfig, TaskTemplate

    from tasksdk.task.copilot import Format


def main(argv: list[str] | None = None) -> int:
    """Bring the inputs, or take the outputs; 0 when it is done, 1 when it failed, which the error document tells."""
    arguments = _parse(argv)
    try:
        if arguments.what == "inputs":
            bring(arguments)
        else:
            take(arguments)
    except Exception as error:  # noqa: BLE001 - every failure is told to the client
        failure = failure_of(error)
        sys.stderr.write(f"{failure.message.strip()}\n")
        place.write(place.join(arguments.output_prefix, place.ERROR), failure.document())
        return 1
    return 0


def bring(arguments: Namespace) -> None:
    """Write the inputs as the container looks for them."""
    from tasksdk.task.copilot import plain_values, stage
    from tasksdk.task.guess import native_interface_of
    from tasksdk.wire import read_map

    template = _template(arguments.template)
    config, kinds = _config(template), native_interface_of(template.interface).inputs
    literals = read_map(place.read(arguments.inputs))
    values = plain_values(literals, kinds, config.input_path)
    stage(literals, values, Path(config.input_path), _form(config))


def take(arguments: Namespace) -> None:
    """Read what the container wrote and write the outputs document."""
    from tasksdk.task.copilot import collect
    from tasksdk.task.guess import native_interface_of
    from tasksdk.types.raw_data import RawData
    from tasksdk.wire import write_map

    template = _template(arguments.template)
    config, kinds = _config(template), native_interface_of(template.interface).outputs
    raw = RawData(arguments.raw_output_data_prefix)
    found = collect(Path(config.output_path), kinds, _form(config), raw, template.id.name)
    place.write(place.join(arguments.output_prefix, place.OUTPUTS), write_map(found))


def _parse(argv: list[str] | None) -> Namespace:
    parser = ArgumentParser(COPILOT, description="Moves the files of a container that knows nothing of the SDK.")
    parser.add_argument("what", choices=("inputs", "outputs"), help="what to move: before the container, or after it")
    for option in ("--template", "--inputs", "--output-prefix", "--raw-output-data-prefix"):
        parser.add_argument(option, metavar="URI", required=True)
    return parser.parse_args(argv)


def _template(uri: str) -> TaskTemplate:
    from flyteidl2.core.tasks_pb2 import TaskTemplate

    return TaskTemplate.FromString(place.read(uri))


def _config(template: TaskTemplate) -> DataLoadingConfig:
    target = template.k8s_pod if template.HasField("k8s_pod") else template.container
    return target.data_config


def _form(config: DataLoadingConfig) -> Format:
    from flyteidl2.core.tasks_pb2 import DataLoadingConfig

    return cast("Format", DataLoadingConfig.LiteralMapFormat.Name(config.format))


if __name__ == "__main__":
    sys.exit(main())
