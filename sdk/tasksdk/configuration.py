"""What `[tool.tasksdk]` of the project and the environment say; the only reader of both."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tasksdk.errors import UserInputError

ENGINE = "TASKSDK_ENGINE"
DEFAULT_ENGINE = "process"


class Project:
    """The names under which templates are filed."""

    def __init__(self, project: str | None = None, domain: str | None = None, org: str | None = None) -> None:
        self.project = project
        self.domain = domain
        self.org = org

    @property
    def named(self) -> dict[str, Any]:
        """Those that were given."""
        return {name: value for name, value in vars(self).items() if value is not None}


class Configuration:
    """The engine by its name, the settings of each, and the folder that is the root of the user's code."""

    def __init__(
        self, engine: str, engines: dict[str, dict[str, Any]], root: Path, project: Project | None = None
    ) -> None:
        self.engine = engine
        self.engines = engines
        self.root = root
        self.project = project or Project()

    def with_(self, *, engine: str | None, root: Path, project: Project) -> Configuration:
        """The same with another root and project, and another engine where one is named."""
        return Configuration(engine or self.engine, self.engines, root, project)


_chosen: list[Configuration] = []


def choose(chosen: Configuration | None) -> None:
    """Let this hold in place of what is read; None for what is read."""
    _chosen[:] = [] if chosen is None else [chosen]


def configuration(start: Path | None = None) -> Configuration:
    """Read the nearest `pyproject.toml` that has a table for the SDK.

    Raises:
        UserInputError: the table cannot be read, or says what nothing understands.
    """
    if _chosen:
        return _chosen[0]
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        table = _table(file)
        if table is not None:
            return _checked(table, file)
    return Configuration(os.environ.get(ENGINE) or DEFAULT_ENGINE, {}, here)


def configuration_in(file: Path) -> Configuration:
    """Read this file.

    Raises:
        UserInputError: it is not there, or has no table for the SDK.
    """
    table = _table(file) if file.is_file() else None
    if table is None:
        what = "has no table [tool.tasksdk]" if file.is_file() else "is not there"
        raise UserInputError(
            f"the configuration {file} {what}", hint="leave the path away for the nearest pyproject.toml"
        )
    return _checked(table, file.resolve())


def _table(file: Path) -> dict[str, Any] | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        found: dict[str, Any] | None = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("tasksdk")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserInputError(f"{file} cannot be read: {error}") from None
    return found


def _checked(table: dict[str, Any], file: Path) -> Configuration:
    unknown = table.keys() - {"engine", "engines"}
    if unknown:
        raise UserInputError(
            f"{file}: [tool.tasksdk] has no {', '.join(sorted(unknown))}", hint="there are: engine, engines"
        )
    engine, engines = table.get("engine", DEFAULT_ENGINE), table.get("engines", {})
    if not isinstance(engine, str) or not isinstance(engines, dict):
        raise UserInputError(f"{file}: [tool.tasksdk] engine is a name, and engines are tables")
    return Configuration(os.environ.get(ENGINE) or engine, engines, file.parent)
