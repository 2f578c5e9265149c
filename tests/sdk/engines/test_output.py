"""Output that means harm: without end, without line ends, with the values of secrets where a line is cut."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasksdk.engines import lines
from tasksdk.engines.attempt import AttemptSpec, SecretValue
from tasksdk.engines.lines import Lines
from tasksdk.engines.process import ProcessEngine

from imagebuilder.spec.redact import Redactor

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = f"{os.environ.get('IMAGEBUILDER_TEST_REGISTRY', 'localhost:5000')}/library/python:3.11-slim-bookworm"
VALUE = "hunter2-wächst"


def _copied(chunks: list[bytes], mask: Redactor) -> list[str]:
    async def story() -> list[str]:
        spool, stream = Lines(mask), asyncio.StreamReader()
        copying = asyncio.ensure_future(spool.copy(stream, "stdout"))
        for chunk in chunks:
            stream.feed_data(chunk)
            await asyncio.sleep(0)
        stream.feed_eof()
        await copying
        spool.close()
        found = [line.text async for line in spool.read()]
        spool.discard()
        return found

    return asyncio.run(story())


@given(
    value=st.sampled_from([VALUE, "aaaa", "abcabc", "x" * 40, "y" * 200]),
    before=st.integers(0, 120),
    between=st.integers(0, 3),
    times=st.integers(1, 6),
    size=st.integers(1, 70),
)
def test_no_cut_goes_through_a_value(value: str, before: int, between: int, times: int, size: int) -> None:
    written = ("." * before + value + "." * between) * times + "." * 100
    stream, mask = written.encode(), Redactor([value])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_LONGEST", 64)
        kept = [mask(line) for line in _copied([stream[at : at + size] for at in range(0, len(stream), size)], mask)]
    assert "".join(kept) == mask(written)


def test_the_cut_of_a_long_line_goes_through_no_secret() -> None:
    spec = AttemptSpec(
        name="s-a-1",
        run="s",
        action="a",
        attempt=1,
        task="t",
        argv=(sys.executable, "-c", "import os; print(('.' * 1009 + os.environ['TOKEN']) * 300)"),
        secrets=(SecretValue("k", VALUE, variable="TOKEN"),),
    )

    async def story() -> list[str]:
        engine = ProcessEngine()
        await engine.submit(spec)
        found = [line.text async for line in engine.logs(spec.name)]
        await engine.close()
        return found

    found = asyncio.run(story())
    assert len(found) > 3
    mask = Redactor([VALUE])
    assert "".join(mask(line) for line in found) == ("." * 1009 + "***") * 300


_WRITER = """
import pathlib, sys
line = sys.argv[1] + chr(10)
for _ in range(300 * 1000 * 1000 // len(line)):
    sys.stdout.write(line)
pathlib.Path(sys.argv[2], "written").touch()
while True:
    sys.stdout.write(line)
"""
# Prints how many MiB more the client needs after an attempt has written 300 MB and goes on for ever.
_CLIENT = """
import asyncio, sys
from pathlib import Path
from tasksdk.engines.attempt import AttemptSpec
from tasksdk.engines.registry import open_engine

engine_name, image, writer, folder, line = sys.argv[1:]

def most():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

async def story():
    engine = open_engine(engine_name, {})
    argv = ("python3", "-c", writer, line, folder)
    name = "endless-" + Path(folder).name.replace("_", "-").lower()
    spec = AttemptSpec(name, "e", "a", 1, "t", argv, image=image, folders=(folder,))
    before = most()
    await engine.submit(spec)
    while not Path(folder, "written").exists():
        await asyncio.sleep(0.1)
    await engine.abort(spec.name, "enough")
    count = 0
    async for _ in engine.logs(spec.name):
        count += 1
    after = most()
    *_, last = [event async for event in engine.watch(spec.name)]
    await engine.close()
    print(last.phase, count, (after - before) >> 10)

asyncio.run(story())
"""


@pytest.mark.parametrize("engine", ["process", pytest.param("docker", marks=pytest.mark.e2e)])
@pytest.mark.parametrize("length", [200, 20])
def test_output_without_end_costs_the_client_little(engine: str, length: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CLIENT, engine, IMAGE, _WRITER, str(tmp_path), "x" * length]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    phase, count, mebibytes = ran.stdout.split()
    assert phase == "aborted"
    assert int(count) > 1000
    assert int(mebibytes) < 100
