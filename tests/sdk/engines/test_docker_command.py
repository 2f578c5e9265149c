"""What a container gets, read from the command line."""

from __future__ import annotations

import pytest
from tasksdk import Resources
from tasksdk.engines.attempt import AttemptSpec, ExitReason, Mount, SecretValue
from tasksdk.engines.docker_client import exit_of_state
from tasksdk.engines.docker_command import create_arguments, variables


def _arguments(processes: int = 10, **settings: object) -> list[str]:
    given: dict[str, object] = {"argv": ("run", "it"), "image": "image:1", **settings}
    return create_arguments(AttemptSpec("r-a-1", "r", "a", 1, "t", **given), "7:8", processes)


def test_values_of_variables_are_not_in_the_arguments() -> None:
    secret = SecretValue("k", "hunter2", variable="TOKEN")
    arguments = _arguments(env={"COLOUR": "red", "PATH": "/bin"}, secrets=(secret,))
    assert "hunter2" not in " ".join(arguments)
    assert [arguments[n + 1] for n, word in enumerate(arguments) if word == "--env"] == ["COLOUR", "PATH=/bin", "TOKEN"]
    spec = AttemptSpec("r-a-1", "r", "a", 1, "t", ("x",), secrets=(secret,))
    assert variables(spec) == {"TOKEN": "hunter2"}


def test_resources_are_limits_of_the_container() -> None:
    arguments = " ".join(_arguments(resources=Resources(cpu=("500m", 2), memory=("1Gi", "2Gi"), shm="auto", gpu=2)))
    assert "--cpus 2.000 --cpu-shares 512" in arguments
    assert f"--memory {2**31} --memory-swap {2**31} --memory-reservation {2**30}" in arguments
    assert f"--shm-size {2**31}" in arguments
    assert "--gpus 2" in arguments


def test_folders_belong_to_the_client_and_odd_paths_are_quoted() -> None:
    arguments = _arguments(folders=("/run/a",), mounts=(Mount('/odd,"path', "/in", read_only=True),))
    assert "type=bind,source=/run/a,target=/run/a" in arguments
    assert 'type=bind,"source=/odd,""path",target=/in,readonly' in arguments
    assert arguments[arguments.index("--user") + 1] == "7:8"
    assert "--user" not in _arguments()


def test_a_command_replaces_that_of_the_image() -> None:
    assert _arguments()[-4:] == ["--entrypoint", "run", "image:1", "it"]
    assert _arguments(argv=())[-1] == "image:1"


def test_processes_are_bounded_and_output_is_not_kept_twice() -> None:
    assert "--log-driver none --pids-limit 10" in " ".join(_arguments())
    assert "--pids-limit -1" in " ".join(_arguments(processes=0))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"Status": "exited", "ExitCode": 0, "OOMKilled": False}, ExitReason.COMPLETED),
        ({"Status": "exited", "ExitCode": 0, "OOMKilled": True}, ExitReason.COMPLETED),
        ({"Status": "exited", "ExitCode": 1, "OOMKilled": True}, ExitReason.OUT_OF_MEMORY),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": False}, ExitReason.SIGNALED),
        ({"Status": "exited", "ExitCode": 127, "Error": "no such file"}, ExitReason.NOT_STARTED),
        ({"Status": "created", "ExitCode": 0}, ExitReason.LOST),
        ({"Status": "running", "ExitCode": 0}, None),
        ({"Status": "paused", "ExitCode": 0}, None),
    ],
)
def test_the_state_of_a_container_is_its_end(state: dict[str, object], reason: ExitReason | None) -> None:
    found = exit_of_state(state)
    assert (None if found is None else found.reason) is reason
