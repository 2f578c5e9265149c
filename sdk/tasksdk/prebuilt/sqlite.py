"""A query of a SQLite database as a task: the example of a pre-built container task."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError
from tasksdk.interface import NativeInterface
from tasksdk.task.customized_container import PythonCustomizedContainerTask, ShimTaskExecutor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flyteidl2.core.tasks_pb2 import TaskTemplate

    from imagebuilder.spec.image import Image
    from tasksdk.task.serialization import SerializationContext

TASK_TYPE = "sqlite"
_TEMPLATE = re.compile(r"\{\{\s*\.[iI]nputs\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


class SQLite3Config(Value):
    """Where the database is: a path or any URL that the SDK reads; `compressed` says that it is in a zip archive."""

    uri: str
    compressed: bool = False


class SQLite3TaskExecutor(ShimTaskExecutor):
    """Fetches the database, asks the query, and gives the rows."""

    def execute_from_model(self, tt: TaskTemplate, **kwargs: Any) -> list[dict[str, Any]]:
        """The rows as dictionaries of columns; what the query writes is lost with the copy it is asked of."""
        import sqlite3
        import tempfile
        from contextlib import closing
        from pathlib import Path

        from tasksdk.types import storage

        custom = tt.custom
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "database")
            storage.fetch(str(custom["uri"]), file)
            if custom["compressed"]:
                file = _unpacked(file, Path(folder, "unpacked"))
            with closing(sqlite3.connect(file)) as connection:
                connection.row_factory = sqlite3.Row
                # Inputs are bound by name, never written into the statement.
                rows = connection.execute(_TEMPLATE.sub(r":\1", str(custom["query_template"])), kwargs)
                return [dict(row) for row in rows]


class SQLite3Task(PythonCustomizedContainerTask):
    """Asks `query_template`, in which `{{ .inputs.x }}` is the input x, and gives the rows.

    `container_image` is one made of `dockerfiles/tasks/sqlite.Dockerfile`, or any that holds the SDK.
    """

    def __init__(
        self,
        name: str,
        query_template: str,
        container_image: str | Image,
        task_config: SQLite3Config | None = None,
        inputs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(task_config, SQLite3Config):
            raise TaskDefinitionError(
                f"task {name}: it needs to know its database", hint='write task_config=SQLite3Config("data.db")'
            )
        unknown = set(_TEMPLATE.findall(query_template)) - set(inputs or {})
        if unknown:
            raise TaskDefinitionError(
                f"task {name}: the query needs {', '.join(sorted(unknown))}", hint="write inputs=kwtypes(...)"
            )
        super().__init__(
            name,
            container_image,
            SQLite3TaskExecutor,
            task_config,
            task_type=TASK_TYPE,
            interface=NativeInterface(inputs, {"results": list[dict[str, Any]]}),
            **kwargs,
        )
        self.query_template = query_template

    def get_custom(self, settings: SerializationContext) -> dict[str, Any]:  # noqa: ARG002 - the base's signature
        """The query and the database: all that the executor needs to know."""
        config = self.task_config
        return {"query_template": self.query_template, "uri": config.uri, "compressed": config.compressed}


def _unpacked(archive: Any, folder: Any) -> Any:
    from zipfile import ZipFile

    with ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise ValueError(f"the archive holds {len(names)} files, and should hold the database alone")
        folder.write_bytes(opened.read(names[0]))
    return folder
