"""What a container gets, read from the command line."""

from __future__ import annotations

from tasksdk import Resources
from tasksdk.engines.attempt import AttemptSpec, Mount, SecretValue
from tasksdk.engines.docker_command import create_arguments, variables


def _arguments(**settings: object) -> list[str]:
    given: dict[str, object] = {"argv": ("run", "it"), "image": "image:1", **settings}
    return create_arguments(AttemptSpec("r-a-1", "r", "a", 1, "t", **given), "7:8")


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
