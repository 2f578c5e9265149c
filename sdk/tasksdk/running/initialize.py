"""`init`: what holds for every run that this process starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tasksdk.configuration import Project, choose, configuration, configuration_in
from tasksdk.errors import UserInputError
from tasksdk.task.told import LOG_LEVEL
from tasksdk.types.twin import BoundTwin

_KNOWN = ("engine", "root_dir", "project", "domain", "org", "log_level")


def _init(
    *,
    engine: str | None = None,
    root_dir: str | os.PathLike[str] | None = None,
    project: str | None = None,
    domain: str | None = None,
    org: str | None = None,
    log_level: int | str | None = None,
    **unknown: Any,
) -> None:
    """Choose the engine of remote runs, the folder of the code, and the names in templates; all of it may be left out.

    Raises:
        UserInputError: there is no such setting, or no such folder.
    """
    _start(None, engine, root_dir, Project(project, domain, org), log_level, unknown)


def _init_from_config(
    path_or_config: str | os.PathLike[str] | None = None,
    root_dir: str | os.PathLike[str] | None = None,
    *,
    engine: str | None = None,
    project: str | None = None,
    domain: str | None = None,
    org: str | None = None,
    log_level: int | str | None = None,
    **unknown: Any,
) -> None:
    """The same, with `[tool.tasksdk]` of this TOML file instead of the nearest `pyproject.toml`'s.

    Raises:
        UserInputError: there is no such file, setting or folder.
    """
    _start(path_or_config, engine, root_dir, Project(project, domain, org), log_level, unknown)


def _start(  # noqa: PLR0917 - the settings of both
    config: str | os.PathLike[str] | None,
    engine: str | None,
    root_dir: str | os.PathLike[str] | None,
    project: Project,
    log_level: int | str | None,
    unknown: dict[str, Any],
) -> None:
    if unknown:
        raise UserInputError(
            f"init: there is no setting {', '.join(sorted(unknown))}: tasks run on engines, without a server",
            hint=f"there are: {', '.join(_KNOWN)}",
        )
    choose(None)
    found = configuration() if config is None else configuration_in(Path(config))
    root = found.root if root_dir is None else Path(root_dir).resolve()
    if not root.is_dir():
        raise UserInputError(f"init: there is no folder {root}")
    choose(found.with_(engine=engine, root=root, project=project))
    if log_level is not None:
        from tasksdk.context.logger import set_level

        os.environ[LOG_LEVEL] = set_level(log_level)


init, init_from_config, init_in_cluster = BoundTwin(_init), BoundTwin(_init_from_config), BoundTwin(_init)


def current_project() -> str | None:
    """The project that `init` named."""
    return configuration().project.project


def current_domain() -> str | None:
    """The domain that `init` named."""
    return configuration().project.domain
