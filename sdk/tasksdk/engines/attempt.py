"""One attempt of one action, as an engine is asked to run it, and what it says about it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from imagebuilder.spec.value import Value
from tasksdk.values.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.spec.redact import Redactor
    from tasksdk.values.pod import PodTemplate
    from tasksdk.values.reuse import ReusePolicy


class Phase(str, Enum):
    """Where an attempt, or an action, is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    ABORTED = "aborted"

    @property
    def terminal(self) -> bool:
        """Whether nothing follows."""
        return self not in {Phase.QUEUED, Phase.RUNNING}

    def __str__(self) -> str:
        return self.value


class ExitReason(str, Enum):
    """Why an attempt ended, as far as it can be told."""

    COMPLETED = "completed"  # exit code 0
    ERROR = "error"  # an exit code above 0
    SIGNALED = "signaled"  # a signal ended it
    OUT_OF_MEMORY = "out_of_memory"  # the kernel ended it for its memory
    TIMED_OUT = "timed_out"  # it ran longer than max_runtime
    QUEUED_TOO_LONG = "queued_too_long"  # it waited longer than max_queued
    IMAGE_UNAVAILABLE = "image_unavailable"  # its image cannot be pulled; trying again cannot help
    NOT_STARTED = "not_started"  # it could not be started at all: no such program, a setting the engine refused
    EVICTED = "evicted"  # the machine took its place away; not the task's fault
    LOST = "lost"  # the engine no longer knows about it; not the task's fault
    ABORTED = "aborted"  # somebody asked for it

    def __str__(self) -> str:
        return self.value


class Exit(Value):
    """How an attempt ended; `message` is one line for people and never holds a secret's value.

    An evicted one with the code 0 said that it was done, after it was asked to end: its outputs tell whether it was.
    """

    reason: ExitReason
    code: int | None = None
    signal: int | None = None
    message: str = ""

    @property
    def phase(self) -> Phase:
        """The phase that this end leads to."""
        if self.reason is ExitReason.COMPLETED:
            return Phase.SUCCEEDED
        if self.reason in {ExitReason.TIMED_OUT, ExitReason.QUEUED_TOO_LONG}:
            return Phase.TIMED_OUT
        return Phase.ABORTED if self.reason is ExitReason.ABORTED else Phase.FAILED


class SecretValue:
    """A secret's value on its way to a task; it shows itself nowhere."""

    __slots__ = ("_value", "key", "mount", "variable")

    def __init__(self, key: str, value: str, *, variable: str | None = None, mount: str | None = None) -> None:
        self.key = key
        self.variable = variable
        self.mount = mount
        self._value = value

    def reveal(self) -> str:
        """The value, for whoever hands it to the task."""
        return self._value

    def __repr__(self) -> str:
        where = self.variable or self.mount
        return f"SecretValue({self.key!r}, ..., at {where!r})"

    def __reduce__(self) -> str:
        raise TypeError(f"the value of secret {self.key!r} is never written down")


class Mount(Value):
    """A folder of the client's, under another path where the attempt runs."""

    source: str
    target: str
    read_only: bool = False


class Staging(Value):
    """How the files of a container without the SDK come and go where it shares no folder with the client.

    `image` holds the SDK. Its command `bring` runs before the container and `take` after it; both see the folders
    `inputs` and `outputs` where the container sees them.
    """

    image: str
    bring: tuple[str, ...]
    take: tuple[str, ...]
    inputs: str
    outputs: str


class Reuse(Value):
    """How a live worker may run an attempt.

    `command` begins the attempt's `argv`, and with `--worker` it starts a worker. Attempts share workers when they are
    of one `environment`, of the same `code` (the name of a version, where the command itself does not notice a change),
    and alike in all that a process or a container is given, but for the variables named in `own`. A worker has
    `folders` in place of the attempt's, which they hold.
    """

    policy: ReusePolicy
    command: tuple[str, ...]
    environment: str
    code: str = ""
    own: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


class AttemptSpec(Value):
    """Everything an engine needs to run one attempt.

    `name` is a DNS label, unique per attempt and equal when the same attempt is submitted again. `image` is a complete
    reference; None where the engine runs no images. `argv` is the whole command: the executor's, or a container
    task's own; empty means that of the image. `folders` must be there, writable, under the same path, wherever the
    attempt runs: inputs, outputs, raw data and code lie in them. `mounts` are folders that lie elsewhere in the
    container. `staging` is given only to engines that have a `helper_image`. Times are seconds. `template` is a
    serialized `flyteidl2.core.tasks_pb2.TaskTemplate`.
    """

    name: str
    run: str
    action: str
    attempt: int
    task: str
    argv: tuple[str, ...]
    image: str | None = None
    env: Mapping[str, str] = {}
    secrets: tuple[SecretValue, ...] = ()
    resources: Resources = Resources()
    max_runtime: float | None = None
    max_queued: float | None = None
    workdir: str | None = None
    folders: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    staging: Staging | None = None
    interruptible: bool | None = None
    queue: str | None = None
    pod_template: PodTemplate | str | None = None
    reuse: Reuse | None = None
    labels: Mapping[str, str] = {}
    template: bytes = b""

    def __hash__(self) -> int:
        return hash((self.name, self.argv, self.image))

    @property
    def mask(self) -> Redactor:
        """Hides the values of its secrets."""
        from imagebuilder.spec.redact import Redactor

        return Redactor(secret.reveal() for secret in self.secrets)


class AttemptEvent(Value):
    """A change of an attempt's phase; `time` in seconds since the epoch, `exit` at the end alone."""

    phase: Phase
    time: float
    exit: Exit | None = None
    message: str = ""


class LogLine(Value):
    """One line of an attempt's output, without its line end; `stream` is stdout or stderr."""

    text: str
    stream: str = "stdout"
