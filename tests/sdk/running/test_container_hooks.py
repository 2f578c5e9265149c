"""What a container task does before and after its container, with an engine that writes what a container would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tasksdk import ContainerTask, IgnoreOutputs, TaskContext, TaskEnvironment, ctx, run, with_runcontext
from tasksdk.engines.fixed import FixedEngine, Outcome

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec

IMAGE = "example.com/adds-one:1"


class Hooked(ContainerTask):
    """Notes what it sees, and doubles what the container gave."""

    def pre(self, *_args: Any, **kwargs: Any) -> dict[str, Any]:
        return {"seen": kwargs["x"]}

    async def post(self, return_vals: int) -> int:
        context = ctx()
        assert context is not None
        return return_vals * 2 + context["seen"] * 100


class Renamed(ContainerTask):
    def pre_execute(self, user_params: TaskContext | None) -> TaskContext | None:
        assert user_params is not None
        return user_params.replace(task_name="renamed")

    def post_execute(self, user_params: TaskContext | None, rval: Any) -> Any:
        assert user_params is not None
        if rval == 1:
            raise IgnoreOutputs
        return rval + len(user_params.task_name)


def _adds_one(spec: AttemptSpec) -> Outcome:
    inputs, outputs = (Path(mount.source) for mount in spec.mounts)
    (outputs / "y").write_text(str(int((inputs / "x").read_text()) + 1))
    return Outcome()


def _task(kind: type[ContainerTask]) -> ContainerTask:
    return kind("adds_one", IMAGE, ["add", "{{.inputs.x}}"], {"x": int}, outputs={"y": int})


@pytest.mark.parametrize(("kind", "given"), [(ContainerTask, 5), (Hooked, 410), (Renamed, 12)])
def test_they_run_whatever_the_engine(kind: type[ContainerTask], given: int) -> None:
    engine = FixedEngine(_adds_one, runs_images=True)
    started = with_runcontext(mode="remote", engine=engine).run(_task(kind), x=4)
    assert started.outputs()[0] == given
    assert [spec.argv for spec in engine.submitted] == [("add", "4")]
    assert started.action.phase == "succeeded"


def test_they_may_say_that_outputs_are_to_be_ignored() -> None:
    engine = FixedEngine(_adds_one, runs_images=True)
    assert with_runcontext(mode="remote", engine=engine).run(_task(Renamed), x=0).outputs()[0] is None


def test_an_asynchronous_task_awaits_it_and_a_synchronous_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    task, env = _task(ContainerTask), TaskEnvironment("callers")
    monkeypatch.setattr(ContainerTask, "execute", lambda _self, x: x + 1)

    @env.task
    def plain(x: int) -> int:
        return task(x=x)

    @env.task
    async def awaits(x: int) -> int:
        return await task(x=x) * 100 + plain(x)

    assert run(awaits, 1).outputs()[0] == 202
    assert run(plain, 1).outputs()[0] == 2
    assert task(x=1) == 2
