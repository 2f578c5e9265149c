"""What the configuration says about the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError

V = TypeVar("V", bound=Value)


class Storage(Value):
    """A folder that this machine and the pods share: `path` here and there, `volume` the cluster's name for it."""

    path: str
    volume: Mapping[str, Any]
    sub_path: str = ""


class Placement(Value):
    """Where pods may go: of a queue, or of whatever may be interrupted."""

    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    tolerations: tuple[Mapping[str, Any], ...] = ()
    node_selector: Mapping[str, str] = {}
    priority_class: str | None = None


class Accelerator(Value):
    """How the cluster names one kind of accelerator."""

    resource: str = "nvidia.com/gpu"
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Mapping[str, Any], ...] = ()


class Settings(Value):
    """The engine's own table of the configuration; times are seconds.

    `start_seconds` is how long a pod may pull and start before the cluster too, for clients that are gone, enforces its
    bound on running time; `keep_seconds` is how long the cluster keeps a Job that ended unseen; `patience_seconds` is
    how long the API server may be out of reach. `run_as` is whose files a pod writes into storage: those of the
    "client" (its user and group), or of the "image". `storage_secrets` name Secrets whose keys are the variables with
    which pods log in to the storage of runs. `helper_image` has the SDK, and moves the files of containers that have
    not; "auto" is one that is built for the storage.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    storage_secrets: tuple[str, ...] = ()
    helper_image: str = "auto"
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    storage: tuple[Storage, ...] = ()
    run_as: str = "client"
    queues: Mapping[str, Placement] = {}
    interruptible: Placement = Placement()
    gpu_resource: str = "nvidia.com/gpu"
    devices: Mapping[str, Accelerator] = {}
    image_pull_seconds: float = 20.0
    start_seconds: float = 300.0
    grace_seconds: float = 10.0
    keep_seconds: float = 600.0
    patience_seconds: float = 120.0

    def check(self) -> None:
        """Refuse what pods cannot run as."""
        if self.run_as not in {"client", "image"}:
            raise _wrong("the kubernetes engine: run_as", self.run_as, '"client" or "image"')


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Settings from a table of the configuration.

    Raises:
        TaskDefinitionError: a name that is no setting, or a value of the wrong kind.
    """
    values = dict(given)
    where = "the kubernetes engine"
    values["storage"] = tuple(_table(Storage, one, f"{where}: storage") for one in _list(values, "storage", where))
    for name in ("image_pull_secrets", "storage_secrets"):
        values[name] = tuple(_list(values, name, where))
    values["interruptible"] = _table(Placement, values.get("interruptible", {}), f"{where}: interruptible")
    for name, kind in (("queues", Placement), ("devices", Accelerator)):
        tables = values.get(name, {})
        if not isinstance(tables, Mapping):
            raise _wrong(f"{where}: {name}", tables, "a table of tables")
        values[name] = {key: _table(kind, one, f"{where}: {name}.{key}") for key, one in tables.items()}
    return _table(Settings, values, where)


def _table(kind: type[V], given: object, where: str) -> V:
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise _wrong(where, given, "a table")
    surplus = sorted(set(given) - set(kind.fields))
    if surplus:
        raise TaskDefinitionError(
            f"{where}: there is no setting {surplus[0]!r}", hint=f"the settings are {', '.join(kind.fields)}"
        )
    values = {name: tuple(value) if name == "tolerations" else value for name, value in given.items()}
    for name, value in values.items():
        _check(kind, name, value, where)
    try:
        return kind(**values)
    except TypeError as error:
        raise TaskDefinitionError(f"{where}: {error}") from None


def _check(kind: type[Value], name: str, value: object, where: str) -> None:
    default = getattr(kind, name, "")
    if isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise _wrong(f"{where}: {name}", value, "a number of seconds")
    elif name == "volume" or isinstance(default, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(f"{where}: {name}", value, "a table")
    elif (default is None or isinstance(default, str)) and not isinstance(value, (str, type(default))):
        raise _wrong(f"{where}: {name}", value, "text")


def _list(values: Mapping[str, Any], name: str, where: str) -> Any:
    found = values.get(name, ())
    if not isinstance(found, (list, tuple)):
        raise _wrong(f"{where}: {name}", found, "a list")
    return found


def _wrong(where: str, value: object, wanted: str) -> TaskDefinitionError:
    return TaskDefinitionError(f"{where}: {value!r} is not {wanted}")
