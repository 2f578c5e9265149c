"""The context that a thread or a coroutine runs in."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasksdk.context.checkpoint import Checkpoint
    from tasksdk.context.report import Report
    from tasksdk.task.base import Task
    from tasksdk.types.raw_data import RawData

Mode = Literal["local", "remote", "hybrid"]


class ActionID:
    """Names one action: its run, itself, and the attempt counted from 1."""

    __slots__ = ("attempt", "name", "run_name")

    def __init__(self, name: str, run_name: str, attempt: int = 1) -> None:
        self.name = name
        self.run_name = run_name
        self.attempt = attempt

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActionID) and (self.run_name, self.name) == (other.run_name, other.name)

    def __hash__(self) -> int:
        return hash((self.run_name, self.name))

    def __repr__(self) -> str:
        return f"ActionID(name={self.name!r}, run_name={self.run_name!r}, attempt={self.attempt})"


class GroupData:
    """The group that actions started now belong to."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"GroupData({self.name!r})"


class TaskContext:
    """What a task may ask about itself while it runs.

    `data` is what `pre` put there; `custom_context` are texts that go on to the tasks it calls.
    """

    __slots__ = (
        "_report",
        "_version",
        "action",
        "checkpoint",
        "code_bundle",
        "compiled_image_cache",
        "custom_context",
        "data",
        "group_data",
        "input_path",
        "mode",
        "output_path",
        "raw_data",
        "run_base_dir",
        "task_name",
    )

    def __init__(
        self,
        *,
        action: ActionID,
        version: str | Callable[[], str] = "",
        raw_data: str = "",
        input_path: str | None = None,
        output_path: str | None = None,
        run_base_dir: str = "",
        checkpoint: Checkpoint | None = None,
        code_bundle: Any = None,
        compiled_image_cache: Mapping[str, str] | None = None,
        mode: Mode = "local",
        task_name: str = "",
        group_data: GroupData | None = None,
        report: Report | None = None,
        data: dict[str, Any] | None = None,
        custom_context: Mapping[str, str] | None = None,
    ) -> None:
        self.action = action
        self._version = version
        self.raw_data = raw_data or run_base_dir
        self.input_path = input_path
        self.output_path = output_path
        self.run_base_dir = run_base_dir
        self.checkpoint = checkpoint
        self.code_bundle = code_bundle
        self.compiled_image_cache = {} if compiled_image_cache is None else compiled_image_cache
        self.mode: Mode = mode
        self.task_name = task_name
        self.group_data = group_data
        # Shared by every context that is this one with some fields changed.
        self._report: list[Report] = [] if report is None else [report]
        self.custom_context: Mapping[str, str] = custom_context or {}
        self.data: dict[str, Any] = {} if data is None else data

    @property
    def version(self) -> str:
        """That of the run or of the deployed task; else a digest of the task's code, computed when it is asked for."""
        if not isinstance(self._version, str):
            self._version = self._version()
        return self._version

    @property
    def raw_data_path(self) -> RawData:
        """Where the files of this action go: a local folder or a URL."""
        from tasksdk.types.raw_data import RawData

        return RawData(self.raw_data)

    @property
    def report(self) -> Report:
        """The page that this action writes; made when it is first used."""
        if not self._report:
            from tasksdk.context.report import Report

            self._report.append(Report(self.task_name or self.action.name))
        return self._report[0]

    @property
    def written_report(self) -> Report | None:
        """The page, where the task used it."""
        return self._report[0] if self._report else None

    @property
    def checkpoints(self) -> Checkpoint | None:
        """The same as `checkpoint`."""
        return self.checkpoint

    @property
    def attempt_number(self) -> int:
        """Which attempt this is, counted from 1."""
        return self.action.attempt

    def replace(self, **changes: Any) -> TaskContext:
        """The same context with some fields changed."""
        if "version" in changes:
            changes["_version"] = changes.pop("version")
        new = object.__new__(TaskContext)
        for name in TaskContext.__slots__:
            object.__setattr__(new, name, changes.pop(name) if name in changes else getattr(self, name))
        if changes:
            raise TypeError(f"a task context has no {', '.join(changes)}")
        return new

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def __repr__(self) -> str:
        return f"TaskContext(action={self.action!r}, mode={self.mode!r})"


class Controller(Protocol):
    """What runs the tasks that a running task calls."""

    def call(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task here and now: its value, or an awaitable of it for an asynchronous task."""

    def trace(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a traced function in the caller's process: its value, or an awaitable of it."""

    async def call_aio(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task, synchronous or not, without holding up the event loop."""


LOCAL_TASK_EXECUTION = "LOCAL_TASK_EXECUTION"


class ContextData:
    """What a context holds: the running task's context, the controller of its run, and a graph being recorded.

    `execution_mode` is `LOCAL_TASK_EXECUTION` where a task is executed as in a sandbox.
    """

    __slots__ = ("controller", "execution_mode", "graph", "task_context")

    def __init__(
        self,
        task_context: TaskContext | None = None,
        controller: Controller | None = None,
        graph: Any = None,
        execution_mode: str | None = None,
    ) -> None:
        self.execution_mode = execution_mode
        self.task_context = task_context
        self.controller = controller
        self.graph = graph


_EMPTY = ContextData()
_current: ContextVar[ContextData] = ContextVar("tasksdk_context", default=_EMPTY)
current = _current.get


class Context:
    """A context to enter: `with Context(data): ...`; threads and coroutines do not see each other's."""

    __slots__ = ("_tokens", "data")

    def __init__(self, data: ContextData) -> None:
        self.data = data
        self._tokens: list[Token[ContextData]] = []

    def __enter__(self) -> Context:  # noqa: PYI034 - typing has no Self in Python 3.10
        self._tokens.append(_current.set(self.data))
        return self

    def __exit__(self, *_error: object) -> None:
        _current.reset(self._tokens.pop())

    @staticmethod
    def current() -> Context:
        """The context that this code runs in."""
        return Context(_current.get())

    def new(self, **changes: Any) -> Context:
        """A context with some of its data changed."""
        data = self.data
        fields = {name: getattr(data, name) for name in ContextData.__slots__}
        return Context(ContextData(**{**fields, **changes}))


def ctx() -> TaskContext | None:
    """The running task's context; None outside a task."""
    return _current.get().task_context
