"""What every engine must do, run on each of them."""

from __future__ import annotations

import asyncio
import os

import pytest
from tasksdk.engines.attempt import AttemptSpec, Exit, ExitReason, Phase, SecretValue
from tasksdk.engines.docker import DockerEngine
from tasksdk.engines.fixed import FixedEngine, Outcome
from tasksdk.engines.port import Engine
from tasksdk.engines.process import ProcessEngine
from tasksdk.engines.registry import open_engine
from tasksdk.errors import EngineError, UserInputError

IMAGE = f"{os.environ.get('IMAGEBUILDER_TEST_REGISTRY', 'localhost:5000')}/library/python:3.11-slim-bookworm"
OUTCOMES = {
    "succeed": Outcome(lines=("one", "two")),
    "fail": Outcome(Exit(ExitReason.ERROR, 3)),
    "hang": Outcome(None),
}


def spec(case: str, **settings: object) -> AttemptSpec:
    script = {"succeed": "echo one; echo two", "fail": "exit 3", "hang": "sleep 1000"}[case]
    name, argv = f"run-{case}-1", ("sh", "-c", script)
    return AttemptSpec(name=name, run="run", action=case, attempt=1, task="t", argv=argv, image=IMAGE, **settings)


REAL = [pytest.param("docker", marks=pytest.mark.e2e), pytest.param("kubernetes", marks=pytest.mark.kube)]


@pytest.fixture(params=["fixed", "process", *REAL])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "process":
        return ProcessEngine(grace=0.2)
    if request.param == "docker":
        return DockerEngine()
    if request.param == "kubernetes":
        namespace = request.getfixturevalue("cluster").namespace
        return open_engine("kubernetes", {"namespace": namespace, "grace_seconds": 1})
    return FixedEngine(lambda asked: OUTCOMES[asked.action])


async def _end(engine: Engine, name: str) -> Exit:
    events = [event async for event in engine.watch(name)]
    assert [event.phase.terminal for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1].exit is not None
    assert events[-1].phase is events[-1].exit.phase
    return events[-1].exit


def test_an_engine_is_one(engine: Engine) -> None:
    assert isinstance(engine, Engine)
    assert engine.at_once > 0


def test_success_is_told_once_with_its_lines(engine: Engine) -> None:
    async def story() -> None:
        await engine.submit(spec("succeed"))
        lines = [line.text async for line in engine.logs("run-succeed-1")]
        end = await _end(engine, "run-succeed-1")
        assert (end.reason, end.code, lines) == (ExitReason.COMPLETED, 0, ["one", "two"])
        assert await _end(engine, "run-succeed-1") == end
        await engine.close()

    asyncio.run(story())


def test_an_exit_code_is_an_error(engine: Engine) -> None:
    async def story() -> None:
        await engine.submit(spec("fail"))
        end = await _end(engine, "run-fail-1")
        assert (end.reason, end.code, end.phase) == (ExitReason.ERROR, 3, Phase.FAILED)
        await engine.close()

    asyncio.run(story())


def test_the_same_attempt_is_joined(engine: Engine) -> None:
    async def story() -> None:
        joined = [await engine.submit(spec("hang")), await engine.submit(spec("hang"))]
        assert joined == [False, True]
        engine.waiting("run-hang-1", waits=True)
        engine.waiting("run-hang-1", waits=False)
        await engine.abort("run-hang-1", "enough")
        await engine.abort("run-hang-1", "enough")
        end = await _end(engine, "run-hang-1")
        assert (end.reason, end.phase) == (ExitReason.ABORTED, Phase.ABORTED)
        await engine.close()

    asyncio.run(story())


def test_the_runtime_is_bounded(engine: Engine) -> None:
    async def story() -> None:
        await engine.submit(spec("hang", max_runtime=0.2))
        end = await _end(engine, "run-hang-1")
        assert (end.reason, end.phase) == (ExitReason.TIMED_OUT, Phase.TIMED_OUT)
        await engine.close()

    asyncio.run(story())


def test_closing_ends_what_runs(engine: Engine) -> None:
    async def story() -> None:
        await engine.submit(spec("hang"))
        watching = asyncio.ensure_future(_end(engine, "run-hang-1"))
        await asyncio.sleep(0)
        await engine.close()
        assert (await watching).reason is ExitReason.ABORTED

    asyncio.run(story())


def test_an_unknown_attempt_is_an_error(engine: Engine) -> None:
    async def story() -> None:
        with pytest.raises(EngineError, match="nothing-1"):
            await engine.abort("nothing-1")
        await engine.close()

    asyncio.run(story())


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(EngineError, match="nowhere"):
        open_engine("nowhere", {})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("docker", {"colour": "red"}),
        ("docker", {"processes": -1}),
        ("docker", {"processes": "many"}),
        ("process", {"grace": "long"}),
        ("process", {"grace": -1}),
    ],
)
def test_a_wrong_setting_is_named(name: str, settings: dict[str, object]) -> None:
    with pytest.raises(UserInputError, match=f"engine {name}.*{next(iter(settings))}"):
        open_engine(name, settings)


def test_a_secret_value_shows_itself_nowhere() -> None:
    secret = SecretValue("key", "hunter2", variable="KEY")
    assert "hunter2" not in f"{secret!r} {secret} {spec('fail', secrets=(secret,))!r}"
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError, match="key"):
        secret.__reduce__()
