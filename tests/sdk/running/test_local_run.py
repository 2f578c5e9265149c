"""Runs in this process: values, actions, groups, retries, timeouts, recovery."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tasksdk import (
    IgnoreOutputs,
    NonRecoverableError,
    RetryStrategy,
    Secret,
    TaskEnvironment,
    ctx,
    group,
    run,
    with_runcontext,
)
from tasksdk.errors import ConversionError, TaskError, TaskTimeoutError, UserInputError

if TYPE_CHECKING:
    from collections.abc import Callable

env = TaskEnvironment("local")
CALLS: list[object] = []


@env.task
def double(x: int) -> int:
    CALLS.append(x)
    return x * 2


@env.task
def total(n: int) -> int:
    with group("doubling"):
        return sum(double(x) for x in range(n))


@env.task
async def quadruple(x: int) -> int:
    first = await double.aio(x)
    await asyncio.sleep(0)
    return await double.aio(first)


@env.task
async def gathered(n: int) -> list[int]:
    return asyncio.gather(*[double.aio(x) for x in range(n)])  # type: ignore[return-value] # awaitable results are awaited


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def test_a_run_has_ended_when_it_is_there() -> None:
    finished = run(total, n=3)
    assert finished.outputs() == (6,)
    assert finished.outputs()[0] == 6
    assert (finished.mode, finished.phase, finished.task_name) == ("local", "succeeded", "local.total")
    assert finished.inputs() == {"n": 3}
    details = finished.details()
    assert (details.inputs, details.outputs) == ({"n": 3}, {"o0": 6})
    assert finished.url.startswith("file:///")
    finished.abort()
    assert finished.phase == "succeeded"


def test_each_call_is_an_action_with_its_group_and_parent() -> None:
    first, *rest = run(total, 3).actions
    assert (first.task_name, first.parent, first.attempts, first.phase) == ("local.total", None, 1, "succeeded")
    assert [(a.task_name, a.parent, a.group) for a in rest] == [("local.double", first.name, "doubling")] * 3
    assert len({a.name for a in rest}) == 3
    assert all(action.runtime >= 0 for action in rest)


def test_names_of_actions_are_the_same_in_every_run() -> None:
    assert [a.name for a in run(total, 4).actions] == [a.name for a in run(total, 4).actions]


def test_everything_works_directly_and_with_await() -> None:
    async def story() -> None:
        finished = await run.aio(quadruple, x=2)
        assert await finished.outputs() == (8,)
        assert finished.outputs()[0] == 8
        assert await finished.wait() is finished
        assert run(quadruple, x=1).outputs()[0] == 4
        assert (await run.aio(total, 2)).outputs()[0] == 2

    asyncio.run(story())
    assert run(quadruple, x=3).outputs()[0] == 12


def test_awaitable_results_are_awaited() -> None:
    assert run(gathered, 4).outputs()[0] == [0, 2, 4, 6]


def test_a_local_run_raises_what_the_task_raised() -> None:
    class OwnError(Exception):
        pass

    @env.task
    def fails() -> None:
        raise OwnError("boom")

    with pytest.raises(OwnError, match="boom"):
        with_runcontext(name="failing").run(fails)
    from tasksdk.store.database import database

    (action,) = database().actions("failing")
    assert action.phase == "failed"
    assert action.error is not None
    assert action.error.rstrip().endswith("OwnError: boom")
    assert "tasksdk/" not in action.error
    kept = database().run("failing")
    assert kept is not None
    assert kept.phase == "failed"


def test_a_named_run_takes_over_what_is_done() -> None:
    allowed = {"go": False}

    @env.task
    def gate(x: int) -> int:
        if not allowed["go"]:
            raise RuntimeError("not yet")
        return x

    @env.task
    def pipeline() -> int:
        return gate(double(1) + double(2))

    with pytest.raises(RuntimeError, match="not yet"):
        with_runcontext(name="nightly").run(pipeline)
    allowed["go"] = True
    assert with_runcontext(name="nightly").run(pipeline).outputs()[0] == 6
    assert CALLS == [1, 2]
    assert with_runcontext(name="nightly").run(pipeline).outputs()[0] == 6


@pytest.mark.parametrize("name", ["", "Upper", "a" * 41, "-a", "a_b", "ä"])
def test_a_run_needs_a_plain_name(name: str) -> None:
    with pytest.raises(UserInputError, match="name of a run"):
        with_runcontext(name=name)


def test_wrong_options_are_named() -> None:
    with pytest.raises(UserInputError, match="mode"):
        with_runcontext(mode="there")  # type: ignore[arg-type] # the point
    with pytest.raises(UserInputError, match="is not a task"):
        run(lambda: 1)  # type: ignore[arg-type] # the point


def test_retries_are_counted_and_wait() -> None:
    attempts: list[int] = []

    @env.task(retries=RetryStrategy(3, backoff=0.01))
    def flaky() -> int:
        context = ctx()
        assert context is not None
        attempts.append(context.attempt_number)
        if len(attempts) < 3:
            raise ValueError("flaky")
        return len(attempts)

    finished = run(flaky)
    assert (finished.outputs()[0], attempts, finished.action.attempts) == (3, [1, 2, 3], 3)


@pytest.mark.parametrize("error", [NonRecoverableError("no"), UserInputError("bad input")])
def test_what_cannot_help_is_not_retried(error: Exception) -> None:
    @env.task(retries=3)
    def hopeless() -> None:
        CALLS.append(1)
        raise error

    with pytest.raises(type(error)):
        run(hopeless)
    assert CALLS == [1]


def test_a_wrong_input_names_the_parameter() -> None:
    with pytest.raises(ConversionError, match=r"local\.double: input x"):
        run(double, x="three")
    assert CALLS == []


def test_a_result_that_lies_names_the_output() -> None:
    @env.task
    def lies() -> int:
        return "three"  # type: ignore[return-value] # the point

    with pytest.raises(ConversionError, match=r"local\.lies: output o0"):
        run(lies)


def test_large_inputs_are_refused() -> None:
    @env.task(max_inline_io_bytes=100)
    def small(text: str) -> str:
        return text * 50

    with pytest.raises(ConversionError, match="its inputs have"):
        run(small, text="x" * 200)
    with pytest.raises(ConversionError, match="its outputs have"):
        run(small, text="xxx")


def test_a_synchronous_body_is_killed_in_time_and_its_children_too(
    tmp_path: Path, until_ended: Callable[[str], None]
) -> None:
    pidfile = tmp_path / "pid"

    @env.task(timeout=0.4)
    def stuck() -> None:
        child = subprocess.Popen(["sleep", "1000"])
        pidfile.write_text(str(child.pid))
        while True:
            time.sleep(1)

    with pytest.raises(TaskTimeoutError, match=r"0\.4 s"):
        with_runcontext(name="stuck").run(stuck)
    until_ended(pidfile.read_text())
    from tasksdk.store.database import database

    assert database().actions("stuck")[0].phase == "timed_out"


def test_an_asynchronous_body_is_cancelled_in_time() -> None:
    @env.task(timeout=0.1)
    async def stuck() -> None:
        await asyncio.sleep(1000)

    with pytest.raises(TaskTimeoutError):
        run(stuck)


@pytest.mark.parametrize("blocks", ["while True: pass", "time.sleep(1000)"])
def test_an_asynchronous_body_that_never_waits_is_killed_in_time(blocks: str, tmp_path: Path) -> None:
    @env.task(timeout=0.4)
    async def stuck() -> None:
        (tmp_path / "pid").write_text(str(os.getpid()))
        exec(blocks)

    @env.task
    async def parent() -> int:
        ticks = 0
        waiting = asyncio.ensure_future(stuck())
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        with pytest.raises(TaskTimeoutError, match=r"longer than 0\.4 s"):
            await waiting
        return ticks

    with pytest.raises(TaskTimeoutError, match=r"longer than 0\.4 s"):
        run(stuck)
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
    assert run(parent).outputs()[0] > 1


def test_a_late_asynchronous_body_may_clear_up(tmp_path: Path) -> None:
    @env.task(timeout=0.2)
    async def clears_up() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1.5)
            (tmp_path / "cleared").touch()

    with pytest.raises(TaskTimeoutError):
        run(clears_up)
    assert (tmp_path / "cleared").exists()


def test_a_bounded_asynchronous_body_is_cancelled_with_its_caller(tmp_path: Path) -> None:
    @env.task(timeout=1000)
    async def waits() -> None:
        (tmp_path / "pid.new").write_text(str(os.getpid()))
        (tmp_path / "pid.new").rename(tmp_path / "pid")
        try:
            await asyncio.sleep(1000)
        finally:
            (tmp_path / "cleared").touch()

    @env.task
    async def parent() -> str:
        waiting = asyncio.ensure_future(waits())
        while not (tmp_path / "pid").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return (tmp_path / "pid").read_text()

    pid = run(parent).outputs()[0]
    assert (tmp_path / "cleared").exists()
    assert not Path("/proc", pid).exists()


def test_bounded_asynchronous_bodies_run_at_once_and_leave_threads_alone(tmp_path: Path) -> None:
    @env.task(timeout=300)
    async def meets(me: str, whom: str) -> int:
        (tmp_path / me).touch()
        while not (tmp_path / whom).exists():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        # Ends long after its task, whose result does not wait for it.
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 1000)
        return await quadruple(2)

    @env.task
    async def both() -> list[int]:
        return list(await asyncio.gather(meets("a", "b"), meets("b", "a")))

    finished = run(both)
    assert finished.outputs()[0] == [8, 8]
    names = [action.task_name for action in finished.actions]
    assert names.count("local.meets") == names.count("local.quadruple") == 2


def test_a_bounded_asynchronous_body_gives_its_errors() -> None:
    @env.task(timeout=60)
    async def fails(how: str) -> None:
        if how == "dies":
            os._exit(4)
        raise KeyError(how)

    with pytest.raises(KeyError, match="negative"):
        run(fails, "negative")
    with pytest.raises(TaskError, match="exit code 4"):
        run(fails, "dies")


def test_a_bounded_body_has_its_page() -> None:
    @env.task(report=True, timeout=60)
    def reports() -> None:
        context = ctx()
        assert context is not None
        context.report.log("<p>hello</p>")

    page = run(reports).action.report
    assert page is not None
    assert "<p>hello</p>" in page.read_text()


def test_a_bounded_body_gives_its_value_and_its_errors() -> None:
    @env.task(timeout=60)
    def bounded(x: int) -> int:
        if x < 0:
            raise KeyError("negative")
        return double(x)

    finished = run(bounded, 3)
    assert finished.outputs()[0] == 6
    assert [a.task_name for a in finished.actions] == ["local.bounded", "local.double"]
    with pytest.raises(KeyError, match="negative"):
        run(bounded, -1)

    @env.task(timeout=60)
    def dies() -> None:
        os._exit(4)

    with pytest.raises(Exception, match="exit code 4"):
        run(dies)


def test_outputs_can_be_ignored() -> None:
    @env.task
    def worker() -> int:
        raise IgnoreOutputs

    finished = run(worker)
    assert finished.phase == "succeeded"


def test_variables_and_secrets_are_the_tasks_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "hunter2")
    both = threading.Barrier(2)
    mount = tmp_path / "secrets" / "token"

    def look() -> tuple[str, str]:
        shell = subprocess.run(["sh", "-c", "echo $COLOUR"], capture_output=True, text=True, check=True)
        return os.environ.get("COLOUR", "none"), shell.stdout.strip()

    @env.task(env_vars={"COLOUR": "red"}, secrets=[Secret("token", "team", as_env_var="SEEN", mount=str(mount))])
    def red() -> list[str]:
        both.wait(10)
        return [*look(), os.environ["SEEN"], mount.read_text()]

    @env.task(env_vars={"COLOUR": "blue"})
    def blue() -> list[str]:
        both.wait(10)
        return [*look(), os.environ.get("SEEN", "none")]

    @env.task
    async def parent() -> list[list[str]]:
        return list(await asyncio.gather(red.aio(), blue.aio()))

    assert run(parent).outputs()[0] == [["red", "red", "hunter2", "hunter2"], ["blue", "blue", "none"]]
    assert look() == ("none", "")
    assert not mount.exists()


def test_a_secret_without_a_value_is_named() -> None:
    @env.task(secrets="absent-key")
    def needs() -> None: ...

    with pytest.raises(UserInputError, match="ABSENT_KEY"):
        run(needs)


def test_a_retry_reads_the_last_checkpoint() -> None:
    @env.task(retries=RetryStrategy(1, 0))
    def resumes() -> str:
        context = ctx()
        assert context is not None
        assert context.checkpoint is not None
        kept = context.checkpoint.load()
        if kept is None:
            context.checkpoint.save(b"half way")
            raise RuntimeError("interrupted")
        return kept.decode()

    assert run(resumes).outputs()[0] == "half way"


def test_a_report_is_a_page() -> None:
    @env.task(report=True)
    def reports() -> None:
        context = ctx()
        assert context is not None
        context.report.log("<p>hello</p>")
        context.report.get_tab("more & more").log("<b>there</b>")

    page = run(reports).action.report
    assert page is not None
    text = page.read_text()
    assert "<p>hello</p>" in text
    assert "more &amp; more" in text


def test_the_context_is_filled_and_isolated() -> None:
    @env.task
    async def look(x: int) -> list[str]:
        context = ctx()
        assert context is not None
        context.data["x"] = x
        await asyncio.sleep(0.01)
        again = ctx()
        assert again is context
        assert again.data == {"x": x}
        return [
            context.action.name,
            context.action.run_name,
            context.mode,
            context.run_base_dir,
            context.raw_data_path.path,
        ]

    @env.task
    async def several() -> list[list[str]]:
        return list(await asyncio.gather(*[look(x) for x in range(5)]))

    finished = with_runcontext(name="context").run(several)
    names = {found[0] for found in finished.outputs()[0]}
    assert names == {action.name for action in finished.actions if action.task_name == "local.look"}
    assert {tuple(found[1:3]) for found in finished.outputs()[0]} == {("context", "local")}
    assert ctx() is None


def test_an_interrupted_run_is_recorded_as_aborted() -> None:
    @env.task
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_runcontext(name="interrupted").run(interrupted)
    from tasksdk.store.database import database

    assert database().actions("interrupted")[0].phase == "aborted"
