"""Tasks that say they are done when they are asked to end: their outputs tell whether they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tasksdk import ContainerTask, TaskEnvironment, with_runcontext
from tasksdk.engines.attempt import Exit, ExitReason
from tasksdk.engines.fixed import FixedEngine, Outcome
from tasksdk.errors import TaskError
from tasksdk.literals import to_literal
from tasksdk.wire import write_map

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec
    from tasksdk.task.base import Task

SAID_DONE = Exit(ExitReason.EVICTED, 0, message="its pod was deleted")
env = TaskEnvironment("evicted")


@env.task(retries=1)
def double(x: int) -> int:
    return 2 * x


def _container(**outputs: type) -> ContainerTask:
    return ContainerTask("shell", "image:1", ["sh"], output_data_dir="/out", outputs=outputs, retries=1)


def _engine(task: Task, written: bytes | None, *, last: Exit) -> FixedEngine:
    """Its first attempt leaves this, and says that it is done when its pod is deleted."""

    def answer(spec: AttemptSpec) -> Outcome:
        if spec.attempt == 2:
            return Outcome(last)
        if written is not None and isinstance(task, ContainerTask):
            (folder,) = (mount.source for mount in spec.mounts if mount.target == "/out")
            Path(folder, "m").write_bytes(written)
        elif written is not None:
            folder = spec.argv[spec.argv.index("--output-prefix") + 1]
            Path(folder).mkdir(parents=True)
            Path(folder, "outputs.pb").write_bytes(written)
        return Outcome(SAID_DONE)

    return FixedEngine(answer, runs_images=isinstance(task, ContainerTask))


EIGHT = write_map({"o0": to_literal(8, int, "o0")})
DONE = [(double, EIGHT), (_container(m=int), b"8")]
NOT_DONE = [
    (double, None),
    (_container(m=int), None),
    (_container(m=int), b"not a number"),
    (_container(m=int, n=int), b"8"),
    (_container(), None),
]


@pytest.mark.parametrize(("task", "written"), DONE, ids=["function", "container"])
def test_who_left_all_outputs_is_done(home: Path, task: Task, written: bytes) -> None:
    engine = _engine(task, written, last=SAID_DONE)
    inputs = {"x": 4} if task is double else {}
    started = with_runcontext(mode="remote", engine=engine).run(task, **inputs)
    assert started.outputs()[0] == 8
    assert len(engine.submitted) == 1
    assert home.exists()


@pytest.mark.parametrize(("task", "written"), NOT_DONE)
def test_who_did_not_is_tried_again(task: Task, written: bytes | None) -> None:
    engine = _engine(task, written, last=Exit(ExitReason.ERROR, 3, message="the second attempt"))
    inputs = {"x": 4} if task is double else {}
    started = with_runcontext(mode="remote", engine=engine).run(task, **inputs)
    with pytest.raises(TaskError, match="the second attempt"):
        started.outputs()
    assert len(engine.submitted) == 2


def test_the_end_is_told_as_it_was() -> None:
    started = with_runcontext(mode="remote", engine=FixedEngine(lambda _spec: Outcome(SAID_DONE))).run(double, x=4)
    with pytest.raises(TaskError, match="its pod was deleted"):
        started.outputs()
