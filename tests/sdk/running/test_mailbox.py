"""The client's side of a mailbox: an attempt that runs nothing, and a test that writes what it would ask for."""

from __future__ import annotations

import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasksdk import NonRecoverableError, TaskEnvironment, with_runcontext
from tasksdk.context.current import ActionID, TaskContext
from tasksdk.engines.attempt import AttemptSpec, Exit, ExitReason
from tasksdk.engines.fixed import FixedEngine, Outcome
from tasksdk.errors import (
    ConversionError,
    OutOfMemoryError,
    TaskAbortedError,
    TaskError,
    TaskSdkError,
    TaskTimeoutError,
)
from tasksdk.running.failure_document import read_failure, write_failure
from tasksdk.running.mailbox import ERROR, NOTHING, OUTPUTS, Mailbox, Posted
from tasksdk.running.request import request_of
from tasksdk.running.traced import read_row, write_row
from tasksdk.store.rows import ActionRow
from tasksdk.types import storage
from tasksdk.wire import plain, read_map, write_map

if TYPE_CHECKING:
    from tasksdk import Run

env = TaskEnvironment("boxed")


@env.task
def parent() -> int:
    return 1


@env.task
def child(x: int) -> int:
    return x


@env.task
def endless(x: int) -> int:
    return x


class Attempt:
    """What the process of a parent would write."""

    def __init__(self, spec: AttemptSpec) -> None:
        prefix = spec.argv[spec.argv.index("--output-prefix") + 1]
        self.box = Mailbox(prefix)
        self.context = TaskContext(action=ActionID(spec.action, spec.run), run_base_dir=prefix, output_path=prefix)

    def ask(self, session: str, *calls: Any, cancelled: tuple[int, ...] = ()) -> None:
        for number, (task, x) in enumerate(calls, 1):
            where = self.box.inputs(session, number)
            storage.write(self.box.call(session, number), request_of(task, self.context, where))
            storage.write(where, write_map({"x": plain(x) or b""}))
        self.box.post(Posted(session, len(calls), cancelled))

    def answers(self, session: str, count: int) -> dict[int, str]:
        deadline = time.monotonic() + 60
        while True:
            found = self.box.answered()
            if found is not None and found.session == session and len(found.kinds) >= count:
                return dict(found.kinds)
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _answer(spec: AttemptSpec) -> Outcome:
    """A child succeeds, fails or ignores its outputs by its input; the others run until they are aborted."""
    if spec.task != "boxed.child":
        return Outcome(end=None)
    prefix = spec.argv[spec.argv.index("--output-prefix") + 1]
    x = read_map(storage.read(spec.argv[spec.argv.index("--inputs") + 1]))["x"]
    if x == plain(3):
        return Outcome(Exit(ExitReason.EVICTED, message="the node went away"))
    if x != plain(4):
        storage.write(f"{prefix}/outputs.pb", write_map({"o0": x}))
    return Outcome()


def _until_submitted(engine: FixedEngine, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(engine.submitted) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _started(engine: FixedEngine, name: str) -> tuple[Run, Attempt]:
    run = with_runcontext(mode="remote", name=name, engine=engine).run(parent)
    _until_submitted(engine, 1)
    return run, Attempt(engine.submitted[0])


def _phases(run: Run) -> list[tuple[str, str]]:
    return [(action.task_name, action.phase) for action in run.actions]


def test_each_call_is_answered_as_it_ended() -> None:
    run, attempt = _started(FixedEngine(_answer), "answers")
    attempt.ask("s", (child, 2), (child, 3), (child, 4))
    assert attempt.answers("s", 3) == {1: OUTPUTS, 2: ERROR, 3: NOTHING}
    outputs = storage.read(attempt.box.answer("s", 1, OUTPUTS))
    assert read_map(outputs) == {"o0": plain(2)}
    failure = read_failure(storage.read(attempt.box.answer("s", 2, ERROR)))
    assert (type(failure), "the node went away" in str(failure)) == (TaskError, True)
    run.abort()
    run.wait()
    assert sorted(_phases(run)[1:]) == [("boxed.child", phase) for phase in ("failed", "succeeded", "succeeded")]


def test_names_do_not_depend_on_the_client() -> None:
    """Another client of the run asks the engine for the same attempts, in the order of the calls."""
    names = []
    for _ in range(2):
        engine = FixedEngine(_answer)
        run, attempt = _started(engine, "named")
        attempt.ask("s", (child, 3), (child, 3), (child, 5))
        attempt.answers("s", 3)
        run.abort()
        run.wait()
        names.append({spec.name for spec in engine.submitted})
        storage.remove(f"{attempt.context.output_path}/answers/answered.json")
        storage.remove(f"{attempt.context.output_path}/calls/posted.json")
    assert len(names[0]) == 4
    assert names[1] < names[0]
    assert len(names[0] - names[1]) == 1  # what succeeded is taken over


def test_what_an_earlier_process_of_the_attempt_left_is_not_served() -> None:
    engine = FixedEngine(_answer)
    run, attempt = _started(engine, "stale")
    attempt.ask("old", (endless, 1))
    _until_submitted(engine, 2)
    run.abort()
    run.wait()
    again = FixedEngine(_answer)
    run, attempt = _started(again, "stale")
    attempt.ask("new", (child, 2))
    assert attempt.answers("new", 1) == {1: OUTPUTS}
    assert [spec.task for spec in again.submitted] == ["boxed.parent", "boxed.child"]
    run.abort()
    run.wait()


def test_what_an_attempt_that_is_joined_asked_for_is_served_once() -> None:
    """The engine keeps the attempt while the client goes: the next client goes on where that one was."""

    class Kept(FixedEngine):
        async def submit(self, spec: AttemptSpec) -> bool:
            await super().submit(spec)
            return spec.task == "boxed.parent"

    run, attempt = _started(FixedEngine(_answer), "joined")
    attempt.ask("s", (child, 2), (endless, 1))
    assert attempt.answers("s", 1) == {1: OUTPUTS}
    run.abort()
    run.wait()
    engine = Kept(_answer)
    run, attempt = _started(engine, "joined")
    attempt.ask("s", (child, 2), (endless, 1), (child, 6))
    assert attempt.answers("s", 2)[3] == OUTPUTS
    assert sorted(spec.task for spec in engine.submitted) == ["boxed.child", "boxed.endless", "boxed.parent"]
    run.abort()
    run.wait()


def test_a_call_that_is_cancelled_is_aborted_once() -> None:
    engine = FixedEngine(_answer)
    run, attempt = _started(engine, "cancelled")
    attempt.ask("s", (endless, 1))
    _until_submitted(engine, 2)
    attempt.ask("s", (endless, 1), (child, 2), cancelled=(1,))
    assert attempt.answers("s", 2) == {1: ERROR, 2: OUTPUTS}
    assert isinstance(read_failure(storage.read(attempt.box.answer("s", 1, ERROR))), TaskAbortedError)
    run.abort()
    run.wait()
    assert ("boxed.endless", "aborted") in _phases(run)


def test_a_call_that_means_nothing_is_answered() -> None:
    run, attempt = _started(FixedEngine(_answer), "nonsense")
    attempt.ask("s", (child.override(max_inline_io_bytes=1), 2))
    assert attempt.answers("s", 1) == {1: ERROR}
    failure = read_failure(storage.read(attempt.box.answer("s", 1, ERROR)))
    assert (type(failure), "may have 1" in str(failure)) == (ConversionError, True)
    run.abort()
    run.wait()


def test_no_more_run_at_once_than_the_engine_says() -> None:
    engine = FixedEngine(_answer)
    engine.at_once = 2
    run, attempt = _started(engine, "bounded")
    attempt.ask("s", (endless, 1), (endless, 2), (endless, 3))
    _until_submitted(engine, 3)
    attempt.ask("s", (endless, 1), (endless, 2), (endless, 3), cancelled=(1,))
    _until_submitted(engine, 4)
    running = [spec.name for spec in engine.submitted[1:] if not engine._attempts[spec.name].ended.is_set()]
    assert len(running) == 2
    run.abort()
    run.wait()


@pytest.mark.parametrize(
    "error",
    [
        TaskError("failed", code="ValueError", traceback="Traceback\n  x", recoverable=False, hint="h"),
        TaskTimeoutError("late", code="Timeout"),
        OutOfMemoryError("big", code="OutOfMemory"),
        TaskAbortedError("gone", code="Aborted", recoverable=False),
        NonRecoverableError("never"),
        ConversionError("wrong", hint="right"),
    ],
)
def test_an_error_comes_as_it_was(error: TaskSdkError) -> None:
    told = read_failure(write_failure(error, "task t", lambda text: text))
    assert (str(told), told.__dict__) == (str(error), error.__dict__)
    assert isinstance(told, type(error))
    again = pickle.loads(pickle.dumps(told))
    assert (type(again), str(again), again.__dict__) == (type(told), str(told), told.__dict__)
    assert isinstance(told, ValueError) == ("ValueError" in str(error.__dict__) or isinstance(error, ValueError))


def test_a_foreign_error_is_told_without_secrets() -> None:
    told = read_failure(write_failure(OSError("no hunter2"), "task t", lambda text: text.replace("hunter2", "***")))
    assert isinstance(told, TaskError)
    assert (told.code, "hunter2" in str(told), isinstance(told, OSError)) == ("OSError", False, True)


_maps = st.dictionaries(st.text(max_size=5), st.integers(-9, 9).map(lambda x: plain(x) or b""), max_size=3)


@given(inputs=_maps, outputs=st.none() | _maps, text=st.text(max_size=9), error=st.none() | st.text(max_size=9))
def test_a_step_comes_as_it_was(
    inputs: dict[str, bytes], outputs: dict[str, bytes] | None, text: str, error: str | None
) -> None:
    row = ActionRow("r", "a1", "a0", text, None, "succeeded", 1, 1.5, 2.5, write_map(inputs), None, error)
    row.outputs = None if outputs is None else write_map(outputs)
    assert read_row(write_row(row)).values() == row.values()
