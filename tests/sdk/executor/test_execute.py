"""`tasksdk-execute`: inputs in, outputs or an error document out, whatever the task does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument
from tasksdk.literals import to_literals, to_value
from tasksdk.wire import read_map, write_map

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import os, signal, sys, time
from tasksdk import IgnoreOutputs, NativeInterface, NonRecoverableError, PythonTask, TaskEnvironment, TaskResolverMixin
from tasksdk import ctx, kwtypes

env = TaskEnvironment("e")

@env.task
def double(x: int) -> int:
    return x * 2

@env.task(report=True)
def act(what: str) -> str:
    if what == "raise":
        raise ValueError("boom")
    if what == "final":
        raise NonRecoverableError("never again")
    if what == "exit":
        sys.exit(0)
    if what == "os._exit":
        os._exit(0)
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "ignore":
        raise IgnoreOutputs
    if what == "wrong":
        return 3
    if what == "call":
        return str(double(2) + double(3))
    if what == "sleep":
        print("sleeping", flush=True)
        time.sleep(1000)
    if what == "thread":
        import threading
        threading.Thread(target=time.sleep, args=(1000,)).start()
    if what == "orphan":
        import subprocess
        subprocess.Popen(["sleep", "5"])
    if what == "fork and exit":
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
    if what == "fork and return":
        if os.fork() == 0:
            return "the child's"
        os.wait()
    if what == "fork and raise":
        if os.fork() == 0:
            raise ValueError("the child's")
        return str(os.waitstatus_to_exitcode(os.wait()[1]))
    if what == "close files":
        os.closerange(3, 256)
    if what == "close output":
        sys.stdout.close()
        os.close(1)
    if what == "change folder":
        os.chdir("/")
    if what == "remove outputs":
        import shutil
        shutil.rmtree(ctx().output_path, ignore_errors=True)
    if what == "own documents":
        os.makedirs(ctx().output_path)
        for name in ("outputs.pb", "error.pb"):
            with open(f"{ctx().output_path}/{name}", "wb") as file:
                file.write(b"mine")
        os._exit(0)
    if what == "surrogate":
        raise ValueError("half a character: " + chr(0xD800))
    if what == "long":
        raise ValueError("<" + "x" * 5_000_000 + ">")
    if what == "deep":
        return act.forward(what)
    if what == "shy":
        class Shy(Exception):
            def __str__(self):
                raise RuntimeError("not to be shown")
        raise Shy
    if what == "context":
        context = ctx()
        context.report.log("<p>hi</p>")
        context.checkpoint.save(b"kept")
        action = context.action
        return f"{action.name} {action.run_name} {action.attempt} {context.mode} {context.raw_data_path.path}"
    return what

@env.task
async def later(x: int) -> int:
    import asyncio
    await asyncio.sleep(0)
    return await double.aio(x)

class Assigned(PythonTask):
    def execute(self, **kwargs):
        return kwargs["x"] + 1

assigned = Assigned("assigned", "any name", interface=NativeInterface(kwtypes(x=int), kwtypes(y=int)))

class Mine(TaskResolverMixin):
    def load_task(self, loader_args):
        return {"one": double}[loader_args[0]]

mine = Mine()
not_a_task = 3
"""
DEFAULT = "tasksdk.task.resolver.default_task_resolver"


class Attempt:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = folder / "users_module.py"
        self.module.write_text(MODULE)
        self.outputs = folder / "new" / "outputs"

    def command(self, inputs: dict[str, object], *loader: str, resolver: str = DEFAULT) -> list[str]:
        written = self.folder / "inputs.pb"
        written.write_bytes(write_map(to_literals(inputs, {name: type(v) for name, v in inputs.items()}, "t")))
        paths = [
            "--inputs",
            str(written),
            "--output-prefix",
            str(self.outputs),
            "--raw-output-data-prefix",
            f"{self.folder}/raw",
        ]
        return [sys.executable, "-m", "tasksdk.executor", *paths, "--resolver", resolver, "--", *loader]

    def run(self, inputs: dict[str, object], *loader: str, **settings: str) -> subprocess.CompletedProcess[str]:
        command = self.command(inputs, *loader, **settings)
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60)

    def act(self, what: str) -> subprocess.CompletedProcess[str]:
        return self.run({"what": what}, "task-module", "users_module", "task-name", "act")

    def value(self, name: str, kind: type) -> object:
        return to_value(read_map((self.outputs / "outputs.pb").read_bytes())[name], kind, name)

    @property
    def error(self) -> ContainerError:
        return ErrorDocument.FromString((self.outputs / "error.pb").read_bytes()).error


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(tmp_path)


@pytest.mark.parametrize(
    "resolver",
    [DEFAULT, "flytekit.core.python_auto_container.default_task_resolver", "tasksdk.task.resolver.DefaultTaskResolver"],
)
def test_the_documented_command_runs_a_task(attempt: Attempt, resolver: str) -> None:
    ran = attempt.run({"x": 21}, "task-module", "users_module", "task-name", "double", resolver=resolver)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert attempt.value("o0", int) == 42
    assert not (attempt.outputs / "error.pb").exists()


def test_the_dashes_may_be_missing(attempt: Attempt) -> None:
    command = attempt.command({"x": 1}, "task-module", "users_module", "task-name", "double")
    command.remove("--")
    subprocess.run(command, cwd=attempt.folder, check=True)
    assert attempt.value("o0", int) == 2


def test_an_asynchronous_task_and_what_it_calls(attempt: Attempt) -> None:
    assert attempt.run({"x": 2}, "task-module", "users_module", "task-name", "later").returncode == 0
    assert attempt.value("o0", int) == 4


def test_a_task_is_found_by_its_variable_and_by_a_resolver_of_ones_own(attempt: Attempt) -> None:
    assert attempt.run({"x": 2}, "task-module", "users_module", "task-name", "assigned").returncode == 0
    assert attempt.value("y", int) == 3
    for resolver in ("users_module.mine", "users_module.Mine"):
        assert attempt.run({"x": 2}, "one", resolver=resolver).returncode == 0


ODD = ["fork and exit", "fork and return", "close files", "close output", "change folder", "remove outputs"]


@pytest.mark.parametrize("what", ["plain", "thread", "orphan", "call", *ODD])
def test_success_ends_the_process_whatever_it_left_behind(attempt: Attempt, what: str) -> None:
    command = attempt.command({"what": what}, "task-module", "users_module", "task-name", "act")
    ran = subprocess.run(command, cwd=attempt.folder, check=False, timeout=60, stdout=subprocess.DEVNULL)
    assert ran.returncode == 0
    assert attempt.value("o0", str) == {"call": "10"}.get(what, what)


def test_ignored_outputs_are_neither_outputs_nor_an_error(attempt: Attempt) -> None:
    assert attempt.act("ignore").returncode == 0
    assert not (attempt.outputs / "outputs.pb").exists()
    assert not (attempt.outputs / "error.pb").exists()


@pytest.mark.parametrize(
    ("what", "code", "recoverable", "says"),
    [
        ("raise", "ValueError", True, "ValueError: boom"),
        ("final", "NonRecoverableError", False, "never again"),
        ("exit", "SystemExit", True, "sys.exit(0)"),
        ("os._exit", "ProcessExited", True, "exit code 0"),
        ("segfault", "Signaled", True, "SIGSEGV"),
        ("kill", "Signaled", True, "SIGKILL"),
        ("wrong", "ConversionError", False, "output o0"),
        ("surrogate", "ValueError", True, "half a character: \\ud800"),
        ("long", "ValueError", True, "characters are left out"),
        ("deep", "RecursionError", True, "recursion"),
        ("shy", "Shy", True, "exception str() failed"),
        ("own documents", "ProcessExited", True, "exit code 0"),
    ],
)
def test_every_failure_is_written_down(attempt: Attempt, what: str, code: str, says: str, recoverable: bool) -> None:
    ran = attempt.act(what)
    assert ran.returncode == 1
    assert not (attempt.outputs / "outputs.pb").exists()
    error = attempt.error
    assert (error.code, error.kind == ContainerError.RECOVERABLE) == (code, recoverable)
    assert says in error.message
    assert says in ran.stderr
    assert "tasksdk/executor" not in error.message


def test_an_error_is_no_longer_than_people_read(attempt: Attempt) -> None:
    attempt.act("long")
    assert len(attempt.error.message) < 70_000
    assert attempt.error.message.startswith("Traceback")
    assert attempt.error.message.rstrip().endswith("x>")


def test_a_forked_process_ends_as_python_ends_one(attempt: Attempt) -> None:
    ran = attempt.act("fork and raise")
    assert (ran.returncode, attempt.value("o0", str)) == (0, "1")
    assert "ValueError: the child's" in ran.stderr


def test_documents_of_an_earlier_attempt_are_gone(attempt: Attempt) -> None:
    assert attempt.act("raise").returncode == 1
    assert attempt.act("plain").returncode == 0
    assert not (attempt.outputs / "error.pb").exists()
    assert attempt.act("raise").returncode == 1
    assert not (attempt.outputs / "outputs.pb").exists()


def test_relative_paths_are_those_of_the_start(attempt: Attempt) -> None:
    command = attempt.command({"what": "change folder"}, "task-module", "users_module", "task-name", "act")
    relative = [word.replace(f"{attempt.folder}/", "") for word in command]
    assert subprocess.run(relative, cwd=attempt.folder, check=False).returncode == 0
    assert attempt.value("o0", str) == "change folder"


@pytest.mark.parametrize(("what", "says"), [("plain", "NotADirectoryError"), ("raise", "boom"), ("kill", "SIGKILL")])
def test_outputs_that_cannot_be_written_are_told_in_the_log(attempt: Attempt, what: str, says: str) -> None:
    attempt.outputs.parent.write_text("a file is in the way")
    ran = attempt.act(what)
    assert ran.returncode == 1
    assert says in ran.stderr
    assert f"the error document cannot be written to {attempt.outputs}/error.pb" in ran.stderr
    assert "tasksdk/executor" not in ran.stderr


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("def double(x: int) ->", "SyntaxError", "def double(x: int) ->"),
        ("import no_such_thing", "ModuleNotFoundError", "import no_such_thing"),
        ("raise RuntimeError('at import')", "RuntimeError", "at import"),
        ("import sys; sys.exit(0)", "SystemExit", "sys.exit(0)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_the_users(attempt: Attempt, text: str, code: str, says: str) -> None:
    attempt.module.write_text(f"{text}\n")
    assert attempt.run({"x": 1}, "task-module", "users_module", "task-name", "double").returncode == 1
    assert attempt.error.code == code
    assert says in attempt.error.message
    assert "users_module.py" in attempt.error.message
    assert "/tasksdk/" not in attempt.error.message


def test_the_traceback_is_the_users(attempt: Attempt) -> None:
    attempt.act("raise")
    lines = attempt.error.message.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "users_module.py" in lines[1]


@pytest.mark.parametrize(
    ("inputs", "loader", "code", "says"),
    [
        ({"x": 1, "y": 2}, ("task-module", "users_module", "task-name", "double"), "TaskInputError", "no input y"),
        ({}, ("task-module", "users_module", "task-name", "double"), "TaskInputError", "needs its input 'x'"),
        ({"x": "text"}, ("task-module", "users_module", "task-name", "double"), "ConversionError", "input x"),
        ({"x": 1}, ("task-module", "users_module", "task-name", "nothing"), "TaskNotFoundError", "nothing"),
        ({"x": 1}, ("task-module", "users_module", "task-name", "not_a_task"), "TaskNotFoundError", "not_a_task"),
        ({"x": 1}, ("task-module", "no_such_module", "task-name", "double"), "ModuleNotFoundError", "no_such_module"),
        ({"x": 1}, ("what", "is", "this"), "TaskNotFoundError", "names no task"),
    ],
)
def test_bad_input_is_the_users_and_final(
    attempt: Attempt, inputs: dict[str, object], loader: tuple[str, ...], code: str, says: str
) -> None:
    assert attempt.run(inputs, *loader).returncode == 1
    error = attempt.error
    assert (error.code, error.kind) == (code, ContainerError.NON_RECOVERABLE)
    assert says in error.message


@pytest.mark.parametrize("resolver", ["users_module.nobody", "nowhere.resolver", "users_module.not_a_task"])
def test_a_resolver_that_is_none_is_an_error(attempt: Attempt, resolver: str) -> None:
    assert attempt.run({"x": 1}, "one", resolver=resolver).returncode == 1
    assert attempt.error.code == "TaskNotFoundError"


def test_unreadable_inputs_are_an_error(attempt: Attempt) -> None:
    command = attempt.command({}, "task-module", "users_module", "task-name", "double")
    (attempt.folder / "inputs.pb").write_bytes(b"not a message")
    assert subprocess.run(command, cwd=attempt.folder, capture_output=True, check=False).returncode == 1
    assert attempt.error.code == "TaskInputError"
    (attempt.folder / "inputs.pb").unlink()
    assert subprocess.run(command, cwd=attempt.folder, capture_output=True, check=False).returncode == 1
    assert attempt.error.code == "UserInputError"
    (attempt.folder / "inputs.pb").mkdir()
    assert subprocess.run(command, cwd=attempt.folder, capture_output=True, check=False).returncode == 1
    assert attempt.error.code == "UserInputError"


def test_a_task_that_is_asked_to_end_says_so(attempt: Attempt) -> None:
    command = attempt.command({"what": "sleep"}, "task-module", "users_module", "task-name", "act")
    with subprocess.Popen(
        command, cwd=attempt.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sleeping\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1
    assert (attempt.error.code, attempt.error.kind) == ("Terminated", ContainerError.RECOVERABLE)


def test_the_context_says_where_the_task_runs(attempt: Attempt) -> None:
    command = attempt.command({"what": "context"}, "task-module", "users_module", "task-name", "act")
    command[3:3] = ["--checkpoint-path", str(attempt.folder / "kept")]
    variables = {"TASKSDK_RUN": "r1", "TASKSDK_ACTION": "a1", "TASKSDK_ATTEMPT": "2", "TASKSDK_MODE": "hybrid"}
    subprocess.run(command, cwd=attempt.folder, check=True, env={**os.environ, **variables})
    assert attempt.value("o0", str) == f"a1 r1 2 hybrid {attempt.folder}/raw"
    assert "<p>hi</p>" in (attempt.outputs / "report.html").read_text()
    assert (attempt.folder / "kept").read_bytes() == b"kept"


@pytest.mark.parametrize("argv", [[], ["--colour"], ["--inputs"], ["--inputs", "i", "--output-prefix", "o"], ["task"]])
def test_a_command_line_that_means_nothing_has_exit_code_2(argv: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-m", "tasksdk.executor", *argv], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "usage: tasksdk-execute" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_plain_task_needs_no_messages(attempt: Attempt) -> None:
    attempt.module.write_text(
        MODULE + "\nimport atexit\n\n@env.task\ndef loaded() -> str:\n    return ' '.join(sys.modules)\n"
    )
    assert attempt.run({}, "task-module", "users_module", "task-name", "loaded").returncode == 0
    loaded = set(str(attempt.value("o0", str)).split())
    assert not {"google.protobuf", "flyteidl2", "sqlite3", "argparse", "tasksdk.types", "tasksdk.running"} & loaded
