"""One attempt, from the inputs document to the outputs or the error document."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

from tasksdk.context.checkpoint import Checkpoint
from tasksdk.context.current import Context, ContextData, TaskContext
from tasksdk.errors import IgnoreOutputs
from tasksdk.executor import documents, place
from tasksdk.executor.failure import Failure, failure_of
from tasksdk.task.dispatch import dispatch, drive
from tasksdk.task.told import BASE, CALLS, told_context, told_task
from tasksdk.wire import WireError, read_map, write_map

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tasksdk.executor.arguments import Arguments
    from tasksdk.literals import Literals
    from tasksdk.task.base import Task

    Finish = Callable[[Coroutine[Any, Any, Any]], Any]


def run_attempt(arguments: Arguments, finish: Finish | None = None) -> Failure | None:
    """Do everything and write what came of it; the failure, where it failed.

    `finish` runs a coroutine to its end; by default on an event loop of its own.
    """
    worker = os.getpid()
    try:
        documents.clear(arguments.outputs)
        outputs = _outputs(arguments, finish)
        _end_of_a_fork(worker)
        if outputs is not None:
            place.write(place.join(arguments.outputs, place.OUTPUTS), write_map(outputs))
    except BaseException as error:  # noqa: BLE001 - every failure is told to the client
        _end_of_a_fork(worker, error)
        return documents.tell(arguments.outputs, failure_of(error))
    return None


def _end_of_a_fork(worker: int, error: BaseException | None = None) -> None:
    """End a process that the task forked, and that came back here, as Python ends one: the documents are not its."""
    if os.getpid() == worker:
        return
    code = 0 if error is None else 1
    if isinstance(error, SystemExit) and not isinstance(error.code, str):
        code = error.code or 0
    elif error is not None:
        sys.stderr.write(failure_of(error).message)
    sys.stdout.flush()
    os._exit(code & 0xFF)


def _outputs(arguments: Arguments, finish: Finish | None) -> Literals | None:
    literals = _read_inputs(arguments.inputs)
    if arguments.code_bundle is not None:
        from tasksdk.code_bundle import CodeBundle

        CodeBundle(arguments.code_bundle).install(arguments.code_destination)
    task = told_task(load(arguments.resolver, arguments.loader_args), os.environ)
    context = _context(arguments, task)
    controller = _Later(context, served=place.absolute(os.environ.get(CALLS, "")) == arguments.outputs)
    inner = Context(ContextData(context, controller))
    try:
        with inner:
            if not task.is_async:
                return drive(dispatch(task, inner, literals))
            if finish is None:
                import asyncio

                finish = asyncio.run
            outputs: Literals = finish(dispatch(task, inner, literals))
            return outputs
    except IgnoreOutputs:
        return None
    finally:
        controller.close()
        if task.report:
            _write_page(place.join(arguments.outputs, place.REPORT), context.report.html())


def _write_page(uri: str, page: str) -> None:
    try:
        place.write(uri, page.encode(errors="replace"))
    except OSError as error:
        # How the task ended counts more, and its documents go to the same place.
        sys.stderr.write(f"the page cannot be written to {uri}: {error}\n")


def load(resolver: str, loader_args: list[str]) -> Task:
    """The task that the resolver finds."""
    from tasksdk.executor.resolve import find_resolver

    return find_resolver(resolver).load_task(loader_args)


def _read_inputs(uri: str) -> Literals:
    data = place.read(uri)
    try:
        return read_map(data)
    except (WireError, UnicodeDecodeError) as error:
        from tasksdk.errors import TaskInputError

        raise TaskInputError(f"the document at {uri} holds no inputs: {error}") from None


def _context(arguments: Arguments, task: Task) -> TaskContext:
    checkpoint = arguments.checkpoint or place.join(arguments.outputs, "checkpoint")
    return TaskContext(
        **told_context(os.environ),
        raw_data=arguments.raw_data,
        input_path=arguments.inputs,
        output_path=arguments.outputs,
        # Without a client that says it: the folder of the outputs' folder; it may be a URL.
        run_base_dir=os.environ.get(BASE) or os.path.dirname(arguments.outputs.rstrip("/")),  # noqa: PTH120
        checkpoint=Checkpoint(checkpoint, arguments.previous_checkpoint),
        code_bundle=_bundle(arguments.code_bundle),
        task_name=task.name,
    )


def _bundle(uri: str | None) -> Any:
    if uri is None:
        return None
    from tasksdk.code_bundle import CodeBundle

    return CodeBundle(uri)


class _Later:
    """Becomes a controller when the task calls another: most tasks call none, and need none of what it loads.

    Where a client serves this attempt, that runs what is called, else this process does.
    """

    def __init__(self, context: TaskContext, *, served: bool) -> None:
        self._context = context
        self._served = served
        self._controller: Any = None
        self._making = allocate_lock()
        self._process = os.getpid()

    def close(self) -> None:
        """Let what is still called end with the task."""
        if self._controller is not None and self._served and os.getpid() == self._process:
            self._controller.close()

    def _made(self) -> Any:
        if self._served and os.getpid() != self._process:
            from tasksdk.errors import EngineError

            raise EngineError(
                "a process that the task forked cannot call tasks",
                hint="call them in the task itself, or call task.forward() for the plain function",
            )
        with self._making:
            if self._controller is None:
                self._controller = self._caller() if self._served else self._here()
        return self._controller

    def _caller(self) -> Any:
        from tasksdk.executor.caller import Caller

        return Caller(self._context)

    def _here(self) -> Any:
        from tasksdk.running.local_controller import LocalController
        from tasksdk.running.run_state import RunState

        context = self._context
        folder = f"{(context.output_path or '').rstrip('/')}/calls"
        state = RunState(context.action.run_name, folder, context.mode, None, version=context.version)
        return LocalController(state)

    def call(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task."""
        return self._made().call(task, args, kwargs)

    def trace(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a traced function."""
        return self._made().trace(task, args, kwargs)

    async def call_aio(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task."""
        return await self._made().call_aio(task, args, kwargs)
