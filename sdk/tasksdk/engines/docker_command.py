"""Attempts as `docker create` command lines: pure, so that what a container gets can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasksdk.engines.attempt import AttemptSpec

LABEL = "tasksdk.attempt"


def create_arguments(spec: AttemptSpec, user: str, processes: int) -> list[str]:
    """The arguments of `docker create`; `processes` is the most processes and threads, 0 no bound.

    Values of variables stand in the environment of the command, not in its arguments: `--env NAME` takes them there.
    """
    assert spec.image is not None
    arguments = ["--name", spec.name, "--label", f"{LABEL}={spec.name}", "--init"]
    # The output is read as it comes: a copy that Docker keeps would grow as long as the task writes.
    arguments += ["--log-driver", "none", "--pids-limit", str(processes or -1)]
    for name, value in spec.labels.items():
        arguments += ["--label", f"tasksdk.{name}={value}"]
    for name, value in variables(spec).items():
        # The command has a value of its own for these, and no secret is called like them.
        arguments += ["--env", f"{name}={value}" if is_own(name) else name]
    for folder in spec.folders:
        arguments += ["--mount", f"type=bind,{_field('source', folder)},{_field('target', folder)}"]
    for mount in spec.mounts:
        read_only = ",readonly" if mount.read_only else ""
        bind = f"type=bind,{_field('source', mount.source)},{_field('target', mount.target)}{read_only}"
        arguments += ["--mount", bind]
    if spec.folders:
        # What the task writes into the run's folder belongs to whoever started the run.
        arguments += ["--user", user]
    if spec.workdir is not None:
        arguments += ["--workdir", spec.workdir]
    arguments += _limits(spec)
    if spec.argv:
        return [*arguments, "--entrypoint", spec.argv[0], spec.image, *spec.argv[1:]]
    return [*arguments, spec.image]


def variables(spec: AttemptSpec) -> dict[str, str]:
    """The variables of the container, secrets among them."""
    secrets = {secret.variable: secret.reveal() for secret in spec.secrets if secret.variable is not None}
    return {**spec.env, **secrets}


def is_own(name: str) -> bool:
    """Whether the docker command itself reads the variable."""
    return name in {"PATH", "HOME"} or name.startswith("DOCKER_")


def _limits(spec: AttemptSpec) -> list[str]:
    resources, arguments = spec.resources, []
    cpu, memory, device = resources.cpu_cores, resources.memory_bytes, resources.device
    if cpu is not None:
        # 1024 shares are one core's worth where cores are short (docs.docker.com, "Resource constraints").
        arguments += ["--cpus", f"{cpu[1]:.3f}", "--cpu-shares", str(max(2, round(cpu[0] * 1024)))]
    if memory is not None:
        # Without a bound of its own, swap would double the memory.
        arguments += ["--memory", str(memory[1]), "--memory-swap", str(memory[1])]
        if memory[0] < memory[1]:
            arguments += ["--memory-reservation", str(memory[0])]
    shm = resources.shm_bytes or (memory[1] if memory is not None and resources.shm == "auto" else None)
    if shm is not None:
        arguments += ["--shm-size", str(shm)]
    if device is not None:
        arguments += ["--gpus", str(device.quantity)]
    return arguments


def _field(name: str, value: str) -> str:
    # A field with a comma or a quote is quoted as in CSV.
    field = f"{name}={value}"
    if "," not in value and '"' not in value:
        return field
    doubled = field.replace('"', '""')
    return f'"{doubled}"'
