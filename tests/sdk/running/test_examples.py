"""Programs as others write them for this API: the same here and on an engine."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
from dataclasses import make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tasksdk as sdk
import tasksdk.remote
from tasksdk.errors import ConversionError, TaskError, TaskInputError, TaskTimeoutError, UserInputError
from tasksdk.running.images import Images

if TYPE_CHECKING:
    from types import ModuleType

SHIPPED = Path(__file__).parents[3] / "examples" / "tasks"
EXAMPLES = Path(__file__).parents[3] / "fixtures" / "task_examples"
EXPECTED: dict[str, Any] = {
    "files": [
        *(
            "kept all the same",
            "one two",
            "small",
            "a.txt",
            "b.txt",
            "c.bin",
            "None",
            "a.txt",
            "below",
            "c.bin",
            "True",
        ),
    ],
    "calls": {
        "applied": ["2", "3"],
        "mapped": ["1", "4", "9"],
        "failed": ["4", "ValueError", "9"],
        "scaled": ["15", "20"],
        "streamed": ["0", "1", "2", "0", "1"],
    },
    "pages": True,
    "bounds": ["3", "NonRecoverableError", "late"],
}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def] # imports by name
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)
    names: list[str] = []

    def load(name: str) -> ModuleType:
        names.append(name)
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield load
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("mode", ["local", "remote"])
@pytest.mark.parametrize("name", EXPECTED)
def test_the_same_in_every_mode(example, name: str, mode: Any) -> None:  # type: ignore[no-untyped-def] # a fixture
    assert sdk.with_runcontext(mode=mode).run(example(name).main).outputs()[0] == EXPECTED[name]


def _shipped(script: str, *words: str, home: Path, folder: Path) -> str:
    """What a script of `examples/tasks` prints, run as its README says."""
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    command, environment = [sys.executable, script, *words], {**os.environ, "TASKSDK_HOME": str(home)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("words", [(), ("process",), pytest.param(("docker",), marks=pytest.mark.e2e)])
def test_the_shipped_example_runs_as_its_readme_says(words: tuple[str, ...], home: Path, tmp_path: Path) -> None:
    *counted, page = _shipped("words.py", *words, home=home, folder=tmp_path / "tasks").splitlines()
    assert counted == ["stars is 3 times in stars.txt", "rivers is 3 times in rivers.txt"]
    assert "rivers: 3 times" in Path(page.removeprefix("the page is at ")).read_text()


@pytest.mark.e2e
def test_the_shipped_container_runs(home: Path, tmp_path: Path) -> None:
    assert _shipped("container.py", home=home, folder=tmp_path / "tasks").endswith("['moon', 'river', 'star']\n")


@pytest.mark.e2e
def test_the_same_in_an_image(example, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def] # a fixture
    image = sdk.Image.from_debian_base(name=repository, registry=os.environ["IMAGEBUILDER_TEST_REGISTRY"])
    monkeypatch.setenv("EXAMPLES_IMAGE", Images().reference(image.with_pip_packages("fsspec")))
    monkeypatch.chdir(EXAMPLES)
    runner = sdk.with_runcontext(mode="remote", engine="docker")
    assert {name: runner.run(example(name).main).outputs()[0] for name in EXPECTED} == EXPECTED


def test_the_page_has_what_was_written_anywhere(example) -> None:  # type: ignore[no-untyped-def] # a fixture
    for mode in ("local", "remote"):
        started = sdk.with_runcontext(mode=mode).run(example("pages").main)
        started.wait()
        page = started.action.report.read_text()
        assert [text in page for text in ("in a group", "on a tab", "awaited")] == [True, True, True]


def test_a_task_given_as_an_input_is_found_again(example) -> None:  # type: ignore[no-untyped-def] # a fixture
    found = example("calls")
    started = sdk.with_runcontext(mode="remote").run(found.apply, 4, found.add_one)
    assert started.outputs()[0] == 5
    quick = found.add_one.override(timeout=9)
    import pickle

    again = pickle.loads(pickle.dumps(quick))
    assert (again.name, again.timeout.runtime_seconds, again.origin) == ("calls.add_one", 9, found.add_one)


def test_a_stream_is_taken_over_by_a_run_that_goes_on(example, tmp_path: Path) -> None:  # type: ignore[no-untyped-def] # a fixture
    env, given = sdk.TaskEnvironment("streams"), []

    @sdk.trace
    async def stream(n: int):  # type: ignore[no-untyped-def] # an unannotated generator
        for x in range(n):
            given.append(x)
            yield x

    @env.task
    async def takes(fail: bool) -> list[int]:
        found = [x async for x in stream(3)]
        if not (tmp_path / "mended").exists():
            raise RuntimeError("after the stream")
        return found

    with pytest.raises(RuntimeError, match="after the stream"):
        sdk.with_runcontext(name="streaming").run(takes, True)
    (tmp_path / "mended").touch()
    assert sdk.with_runcontext(name="streaming").run(takes, True).outputs()[0] == [0, 1, 2]
    assert given == [0, 1, 2]


def test_a_stream_that_is_left_early_ends() -> None:
    env, ended = sdk.TaskEnvironment("early"), []

    @sdk.trace
    async def stream():  # type: ignore[no-untyped-def] # an unannotated generator
        try:
            for x in range(100):
                yield x
        finally:
            ended.append(x)

    @env.task
    async def takes() -> int:
        numbers = stream()
        async for x in numbers:
            if x == 2:
                await numbers.aclose()
                return x
        return -1

    assert sdk.run(takes).outputs()[0] == 2
    assert ended == [2]


def test_map_refuses_what_it_cannot_give(example) -> None:  # type: ignore[no-untyped-def] # a fixture
    from functools import partial

    found = example("calls")
    with pytest.raises(TaskInputError, match="got its input 'x' twice"):
        sdk.map(partial(found.power, x=1), [1])
    with pytest.raises(TaskInputError, match="fixed by their place"):
        sdk.map(partial(found.power, 1), [1])
    with pytest.raises(UserInputError, match="is not a task"):
        sdk.map(abs, [1])  # type: ignore[arg-type] # on purpose
    assert list(sdk.map(found.power, [2, 3], [2, 3])) == [4, 27]
    with pytest.raises(ValueError, match="negative"):
        list(sdk.map(found.power, [-2], [1], return_exceptions=False))


def test_map_stops_what_nobody_waits_for() -> None:
    import asyncio

    env, started, ended = sdk.TaskEnvironment("stops"), [], []

    @env.task
    async def waits(x: int) -> int:
        started.append(x)
        try:
            if x == 0:
                raise ValueError("the first")
            await asyncio.sleep(600)
        finally:
            ended.append(x)
        return x

    @env.task
    def main() -> None:
        list(sdk.map(waits, [0, 1, 2], return_exceptions=False))

    with pytest.raises(ValueError, match="the first"):
        sdk.run(main)
    assert sorted(started) == sorted(ended)


def test_the_options_of_a_run() -> None:
    env = sdk.TaskEnvironment("options", env_vars={"COLOUR": "red", "SIZE": "1"}, cache="auto")
    calls = []

    @env.task
    def seen(x: int) -> str:
        calls.append(x)
        context = sdk.ctx()
        assert context is not None
        return f"{os.environ['COLOUR']} {os.environ['SIZE']} {context.custom_context}"

    runner = sdk.with_runcontext("local", env_vars={"COLOUR": "blue"}, custom_context={"who": "me"})
    assert runner.run(seen, 1).outputs()[0] == "blue 1 {'who': 'me'}"
    sdk.with_runcontext(disable_run_cache=True).run(seen, 1)
    assert calls == [1, 1]
    with pytest.raises(UserInputError, match="has no option colour\n  there are: mode, name, engine"):
        sdk.with_runcontext(colour="blue")


def test_raw_data_goes_where_the_run_says(example, tmp_path: Path) -> None:  # type: ignore[no-untyped-def] # a fixture
    for mode in ("local", "remote"):
        runner = sdk.with_runcontext(mode=mode, raw_data_path=str(tmp_path / mode))
        file = runner.run(example("files").written_and_removed, "there").outputs()[0]
        assert file.path.startswith(str(tmp_path / mode))
        assert Path(file.path).read_text() == "there"


def test_a_deadline_bounds_all_attempts(example) -> None:  # type: ignore[no-untyped-def] # a fixture
    late = example("bounds").late
    with pytest.raises(TaskTimeoutError):
        sdk.run(late)


SCRIPT = """
import tasksdk as sdk
env = sdk.TaskEnvironment("inits")

@env.task
def main() -> str:
    sdk.logger.debug("a line")
    return sdk.ctx().mode

if __name__ == "__main__":
    sdk.init_from_config(CONFIG, log_level="DEBUG", project="p")
    found = sdk.with_runcontext(mode="remote").run(main)
    print(found.outputs()[0], sdk.current_project(), sdk.current_domain(), *[line.split()[-1] for line in found.logs()])
"""


def test_init_holds_for_the_runs_that_follow(home: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('[tool.tasksdk]\nengine = "process"\n')
    for config in ("None", "'other.toml'"):
        (tmp_path / "script.py").write_text(SCRIPT.replace("CONFIG", config))
        environment = {**os.environ, "TASKSDK_HOME": str(home)}
        command = [sys.executable, "script.py"]
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert ran.stdout == "remote p None line\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"endpoint": "dns:///host"}, "there is no setting endpoint"),
        ({"root_dir": "/no/such/folder"}, "there is no folder /no/such/folder"),
        ({"log_level": "LOUD"}, "'LOUD' is not a level"),
    ],
)
def test_init_says_what_it_does_not_know(settings: dict[str, Any], said: str) -> None:
    from tasksdk.configuration import choose

    try:
        with pytest.raises(UserInputError, match=said):
            sdk.init(**settings)
    finally:
        choose(None)


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserInputError, match="is not there"):
        sdk.init_from_config(tmp_path / "config.toml")


@pytest.mark.parametrize("mode", ["local", "remote"])
def test_a_dict_stands_for_a_record(example, mode: Any) -> None:  # type: ignore[no-untyped-def] # a fixture
    found, runner = example("records"), sdk.with_runcontext(mode=mode)
    assert runner.run(found.asked, {"text": "a"}).outputs()[0] == "a 10 None None"
    whole = runner.run(found.asked, query={"text": "a", "tags": {"k": "v"}}, place={"x": 2})
    assert whole.outputs()[0] == "a 10 {'k': 'v'} Place(x=2.0, y=1.0)"
    with pytest.raises(ConversionError, match=r"records.asked: input query: .*text"):
        runner.run(found.asked, {"limit": 3})


def test_an_output_is_no_record_because_it_looks_like_one() -> None:
    env = sdk.TaskEnvironment("lies")
    place = make_dataclass("Made", [("x", int)])

    def lie():  # type: ignore[no-untyped-def] # annotated below
        return {"x": 1}

    lie.__annotations__["return"] = place
    with pytest.raises(ConversionError, match=r"expected .*Made, got dict"):
        sdk.run(env.task(lie))


def test_hashes_of_what_is_written_and_of_frames(example) -> None:  # type: ignore[no-untyped-def] # a fixture
    import pandas as pd

    found = example("records")
    file = sdk.run(found.digested).outputs()[0]
    assert file.hash == hashlib.sha256(b"abc").hexdigest()
    frames = [pd.DataFrame({"a": numbers}) for numbers in ([1, 2], [3, 0], [1, 1])]
    assert [sdk.run(found.counted, frame).action.cached for frame in frames] == [False, True, False]
    assert sdk.run(found.made).outputs()[0].open(pd.DataFrame).all_sync()["a"].tolist() == [1, 2]


def test_a_run_answers_in_every_way(example, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def] # a fixture
    import asyncio

    found = example("records")

    async def asks() -> None:
        started = await sdk.with_runcontext(mode="remote").run.aio(found.asked, {"text": "a"})
        await started.wait.aio(quiet=True)
        outputs = await started.outputs.aio()
        assert (outputs.o0, outputs.named_outputs) == (outputs[0], {"o0": outputs[0]})
        with pytest.raises(AttributeError, match="no output 'o1'"):
            _ = outputs.o1
        for given in (await started.inputs.aio(), await started.inputs(), (await started.details()).inputs):
            assert given["query"].text == "a"
        await started.show_logs()
        await started.abort.aio()
        await started.raise_for_status.aio()

    asyncio.run(asks())
    failed = sdk.with_runcontext(mode="remote").run(example("calls").power, -1, 2)
    with pytest.raises(TaskError, match="-1 is negative"):
        failed.raise_for_status()
    assert failed.wait(quiet=False)
    capsys.readouterr()


def test_deployed_tasks_are_awaited_where_their_caller_is_asynchronous(example) -> None:  # type: ignore[no-untyped-def] # a fixture
    found = example("calls")
    sdk.deploy(found.env)
    power = tasksdk.remote.Task.get("calls.power", auto_version="latest")
    env = sdk.TaskEnvironment("callers")

    @env.task
    async def awaits() -> int:
        return await power(x=2, n=3)

    @env.task
    def plain() -> int:
        return power(x=2, n=3)

    assert (sdk.run(awaits).outputs()[0], sdk.run(plain).outputs()[0], power(x=2, n=3)) == (8, 8, 8)
    with pytest.raises(UserInputError, match="not a version"):
        tasksdk.remote.Task.get("calls.power", auto_version="current")  # type: ignore[arg-type] # on purpose


def test_an_environment_of_containers() -> None:
    task = sdk.ContainerTask("copies", "example.com/image:1", ["cp"])
    env = sdk.TaskEnvironment.from_task("containers", task)
    assert (env.tasks, sdk.TaskEnvironment("on", depends_on=[env]).depends_on) == ({"copies": task}, [env])
