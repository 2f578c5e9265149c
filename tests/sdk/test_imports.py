"""What importing the SDK loads."""

from __future__ import annotations

import subprocess
import sys


def _loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_the_sdk_loads_none_of_its_parts() -> None:
    loaded = _loaded("import tasksdk")
    assert {name for name in loaded if name.startswith("tasksdk.")} == {"tasksdk.version"}


def test_defining_a_task_loads_neither_messages_nor_asyncio() -> None:
    code = """
from tasksdk import Resources, TaskEnvironment
env = TaskEnvironment("e", resources=Resources(cpu=1))
@env.task
def f(x: int) -> int: return x
assert f(1) == 1
"""
    loaded = _loaded(code)
    assert not {"google.protobuf", "flyteidl2", "asyncio", "inspect", "dataclasses", "sqlite3"} & loaded


def test_every_public_name_is_there() -> None:
    import tasksdk

    assert all(getattr(tasksdk, name) is not None for name in tasksdk.__all__)
    assert set(tasksdk.__all__) == set(tasksdk._MODULE_OF)
