"""The executor's command line, parsed by hand: argparse takes longer to import than a task takes to run."""

from __future__ import annotations

from tasksdk.errors import UserInputError
from tasksdk.executor.place import absolute

_VALUES = (
    "--inputs",
    "--output-prefix",
    "--raw-output-data-prefix",
    "--resolver",
    "--checkpoint-path",
    "--prev-checkpoint",
)
_BUNDLE = ("--code-bundle", "--code-destination")
USAGE = """usage: tasksdk-execute --inputs URI --output-prefix URI --raw-output-data-prefix URI
                       [--checkpoint-path URI] [--prev-checkpoint URI]
                       [--code-bundle URI [--code-destination FOLDER]]
                       --resolver MODULE.NAME -- LOADER-ARGUMENT...
       tasksdk-execute --worker

Runs one task: reads its inputs, writes outputs.pb or error.pb below the output prefix. Paths are local, or any URL
that fsspec reads (with the extra `fsspec`). The exit code is 0 when the task succeeded.
A worker runs the tasks that its standard input asks for, one after another."""


class Arguments:
    """What the executor is asked to do."""

    __slots__ = (
        "checkpoint",
        "code_bundle",
        "code_destination",
        "inputs",
        "loader_args",
        "outputs",
        "previous_checkpoint",
        "raw_data",
        "resolver",
    )

    def __init__(self, values: dict[str, str], loader_args: list[str]) -> None:
        # The task may change the folder that relative paths start from.
        self.inputs = absolute(values["--inputs"])
        self.outputs = absolute(values["--output-prefix"])
        self.raw_data = absolute(values.get("--raw-output-data-prefix") or f"{self.outputs}/data")
        self.resolver = values["--resolver"]
        self.checkpoint = absolute(values.get("--checkpoint-path", "")) or None
        self.previous_checkpoint = absolute(values.get("--prev-checkpoint", "")) or None
        self.code_bundle = values.get("--code-bundle")
        self.code_destination = values.get("--code-destination")
        self.loader_args = loader_args


def parse(argv: list[str]) -> Arguments:
    """Read the command line; the `--` before the loader's arguments may be missing.

    Raises:
        UserInputError: an option that there is none of, or one that is missing.
    """
    values: dict[str, str] = {}
    at = 0
    while at < len(argv):
        option, equals, value = argv[at].partition("=")
        if option == "--":
            at += 1
            break
        if option not in _VALUES and option not in _BUNDLE:
            if "--resolver" in values and not option.startswith("--"):
                break
            raise UserInputError(f"tasksdk-execute has no option {option!r}", hint=USAGE)
        if not equals:
            at += 1
            if at == len(argv):
                raise UserInputError(f"{option} needs a value", hint=USAGE)
            value = argv[at]
        values[option] = value
        at += 1
    for needed in ("--inputs", "--output-prefix", "--resolver"):
        if needed not in values:
            raise UserInputError(f"{needed} is missing", hint=USAGE)
    return Arguments(values, argv[at:])
