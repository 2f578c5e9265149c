"""One execution of a task and of everything it called."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasksdk.running.action import Action
from tasksdk.running.names import ROOT
from tasksdk.running.outputs import Outputs, Waiting
from tasksdk.store.rows import ActionRow
from tasksdk.types.twin import Ready, ReadyDict, ReadyNone, Twin
from tasksdk.types.waiting import on_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tasksdk.running.run_state import RunState
    from tasksdk.task.base import Task


class RunDetails(Ready):
    """A run's inputs and outputs by name, and its actions."""

    def __init__(self, inputs: dict[str, Any], outputs: dict[str, Any] | None, actions: list[Action]) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.actions = actions

    def __repr__(self) -> str:
        return f"RunDetails(inputs={self.inputs!r}, outputs={self.outputs!r}, actions={len(self.actions)})"


class Run:
    """The same object in every mode; a local run has ended when it is there."""

    def __init__(
        self, state: RunState, task: Task, future: Future[Any], abort: Callable[[str], None] = lambda _reason: None
    ) -> None:
        self._state = state
        self._task = task
        self._future = future
        self._abort = abort

    @property
    def name(self) -> str:
        """The name, by which it can be recovered."""
        return self._state.name

    @property
    def mode(self) -> str:
        """local, remote or hybrid."""
        return self._state.mode

    @property
    def task_name(self) -> str:
        """The full name of its task."""
        return self._task.name

    @property
    def url(self) -> str:
        """Where its files are."""
        folder = self._state.folder
        return folder if "://" in folder else Path(folder).as_uri()

    @property
    def actions(self) -> list[Action]:
        """Its steps, in the order of their start."""
        assert self._state.database is not None
        return [Action(row, self._state.folder) for row in self._state.database.actions(self.name)]

    @property
    def action(self) -> Action:
        """Its first step; queued where it has not begun yet."""
        first = [action for action in self.actions if action.name == ROOT]
        waiting = ActionRow(self.name, ROOT, None, self.task_name, phase="queued", started=time.time())
        return first[0] if first else Action(waiting, self._state.folder)

    @property
    def phase(self) -> str:
        """queued, running, succeeded, failed, timed_out or aborted."""
        first = [action.phase for action in self.actions if action.name == ROOT]
        return first[0] if first else "queued"

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    @property
    def error(self) -> BaseException | None:
        """What it failed with; waits for its end."""
        return self._future.exception()

    @property
    def values(self) -> tuple[Any, ...]:
        """The outputs in the order of the interface; waits for its end, and raises what it failed with."""
        return tuple(self.named_values.values())

    @property
    def named_values(self) -> dict[str, Any]:
        """The same by their names."""
        error = self.error
        if error is not None:
            raise error
        return self._named(self._future.result())

    @Twin
    def wait(self, quiet: bool = True) -> Waiting:
        """Wait for its end, whatever that is; with await where an event loop runs.

        `quiet=False` prints what its actions wrote, then.
        """
        if not on_loop():
            _ = self.error
            if not quiet:
                self.show_logs()
        return Waiting(self, quiet=quiet)

    @Twin
    def raise_for_status(self) -> None:
        """Wait for its end, and raise what it failed with."""
        if self.error is not None:
            raise self.error

    @Twin
    def outputs(self) -> Outputs:
        """Its outputs; raises what the task raised."""
        outputs = Outputs(self)
        if not on_loop() or self.done:
            _ = self.values
        return outputs

    @Twin
    def inputs(self) -> ReadyDict[Any]:
        """Its inputs by name."""
        from tasksdk.literals import to_value
        from tasksdk.wire import read_map

        assert self._state.database is not None
        rows = [row for row in self._state.database.actions(self.name) if row.name == ROOT]
        kinds = self._task.native_interface.inputs
        return ReadyDict(
            {name: to_value(literal, kinds[name], name) for name, literal in read_map(rows[0].inputs).items()}
        )

    @Twin
    def details(self) -> RunDetails:
        """Its inputs, its outputs as far as they are there, and its actions."""
        outputs = self._named(self._future.result()) if self.done and self.error is None else None
        return RunDetails(self.inputs(), outputs, self.actions)

    @Twin
    def show_logs(self) -> ReadyNone:
        """Print what its actions wrote, each line after its action's name; waits for the run."""
        _ = self.error
        for line in self.logs():
            print(line)  # noqa: T201 - it is asked for
        return ReadyNone()

    def logs(self) -> Iterator[str]:
        """What its actions wrote so far, action by action."""
        for action in self.actions:
            yield from (f"[{action.task_name}] {line}" for line in action.logs())

    @Twin
    def abort(self, reason: str = "aborted by the user") -> ReadyNone:
        """End it and everything it started; no error when it has ended already."""
        if not self.done:
            self._abort(reason)
        return ReadyNone()

    async def ended(self) -> None:
        """Wait for its end without holding up the event loop."""
        import asyncio

        if not self._future.done():
            await asyncio.wait([asyncio.wrap_future(self._future)])

    def _named(self, value: Any) -> dict[str, Any]:
        interface = self._task.native_interface
        if value is None and not interface.outputs:
            return {}
        return interface.name_outputs(value, self._task.name)

    def __repr__(self) -> str:
        return f"Run({self.name!r}, task={self.task_name!r}, mode={self.mode!r}, phase={self.phase!r})"
