"""The pre-built SQLite task: here, in a process, and in the image of its Dockerfile."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from tasksdk import Image, kwtypes, run, with_runcontext
from tasksdk.errors import TaskDefinitionError
from tasksdk.literals import to_literals, to_value
from tasksdk.prebuilt.sqlite import SQLite3Config, SQLite3Task
from tasksdk.wire import read_map, write_map

if TYPE_CHECKING:
    from collections.abc import Callable

TOP = Path(__file__).parents[3]
QUERY = "select name, age from people where age > {{ .inputs.least }} order by age"
ROWS = [{"name": "Grace", "age": 45}, {"name": "Ada; drop table people", "age": 50}]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "people.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table people (name text, age integer)")
        connection.executemany("insert into people values (:name, :age)", [*ROWS, {"name": "Young", "age": 7}])
        connection.commit()
    return path


def people(database: Path, image: str | Image = "registry/sqlite:1", *, compressed: bool = False) -> SQLite3Task:
    config = SQLite3Config(str(database), compressed)
    return SQLite3Task("people", QUERY, image, config, inputs=kwtypes(least=int))


def test_it_runs_here_and_from_its_template(database: Path) -> None:
    task = people(database)
    assert task(least=10) == ROWS
    assert run(task, least=10).outputs()[0] == ROWS
    assert with_runcontext(mode="remote").run(task, least=10).outputs()[0] == ROWS


def test_the_database_may_be_compressed(database: Path) -> None:
    archive = database.with_suffix(".zip")
    with ZipFile(archive, "w") as zipped:
        zipped.write(database, "people.db")
    assert people(archive, compressed=True)(least=10) == ROWS


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SQLite3Task("bare", "select 1", "registry/sqlite:1"), "needs to know its database"),
        (lambda: SQLite3Task("bare", QUERY, "registry/sqlite:1", SQLite3Config("x.db")), "the query needs least"),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[], SQLite3Task], says: str) -> None:
    with pytest.raises(TaskDefinitionError, match=says):
        make()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    wheels = tmp_path_factory.mktemp("wheels")
    for project in (TOP, TOP / "sdk"):
        command = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(wheels), str(project)]
        subprocess.run(command, check=True)
    (wheels / ".gitignore").unlink(missing_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels)]
    subprocess.run([*pip, "--python-version", "3.11", "--only-binary", ":all:", "flyteidl2", "protobuf"], check=True)
    registry = os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "localhost:5000")
    file = TOP / "dockerfiles" / "tasks" / "sqlite.Dockerfile"
    return Image.from_dockerfile(file, context=wheels, name="sqlite-task", registry=registry)


@pytest.mark.e2e
def test_it_runs_in_the_image_of_its_dockerfile(database: Path, image: Image) -> None:
    # The database lies in a folder that the container sees: the run's.
    folder = database.parent / "runs"
    seen = folder / "in-docker" / "people.db"
    seen.parent.mkdir(parents=True)
    database.rename(seen)
    runner = with_runcontext(mode="remote", engine="docker", name="in-docker", run_base_dir=str(folder))
    finished = runner.run(people(seen, image), least=10)
    assert finished.outputs()[0] == ROWS
    assert finished.action.phase == "succeeded"


@pytest.mark.e2e
def test_the_documented_command_needs_no_module_of_the_user(database: Path, image: Image) -> None:
    from tasksdk.running.images import Images

    folder = database.parent
    folder.chmod(0o777)
    (folder / "inputs.pb").write_bytes(write_map(to_literals({"least": 10}, {"least": int}, "people")))
    (folder / "task.pb").write_bytes(people(database, image).to_template().SerializeToString())
    resolver = "flytekit.core.python_customized_container_task.default_task_template_resolver"
    command = (
        f"pyflyte-execute --inputs {folder}/inputs.pb --output-prefix {folder}/outputs"
        f" --raw-output-data-prefix {folder}/data --resolver {resolver}"
        f" -- {folder}/task.pb tasksdk.prebuilt.sqlite.SQLite3TaskExecutor"
    )
    mount = f"type=bind,source={folder},target={folder}"
    docker = ["docker", "run", "--rm", "--mount", mount, Images().reference(image)]
    subprocess.run([*docker, *command.split()], check=True)
    written = read_map((folder / "outputs" / "outputs.pb").read_bytes())
    assert to_value(written["results"], list[dict[str, object]], "results") == ROWS
