from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tasksdk.engines.kubernetes.api import Refused, Unreachable
from tasksdk.engines.kubernetes.log import KEPT_BYTES, Log, pump

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

FIRST, SECOND = b"2026-01-02T03:04:05.000000001Z ", b"2026-01-02T03:04:05.000000002Z "


class Server:
    """Answers each request for a log with the next of these."""

    namespace = "n"
    last: asyncio.Event

    def __init__(self, *answers: list[bytes | Exception]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []

    async def lines(self, _path: str, query: Any, _seconds: Any) -> AsyncGenerator[bytes]:
        self.asked.append(dict(query))
        if len(self.answers) == 2:  # the last answer is to a request after the end
            self.last.set()
        for one in self.answers.pop(0):
            if isinstance(one, Exception):
                raise one
            yield one


def read(server: Server, *, runs_on: bool = False) -> list[str]:
    async def story() -> list[str]:
        log, ended = Log(), asyncio.Event()
        if not runs_on:
            ended.set()
        server.last = ended
        await pump(server, "p", "c", log, ended)  # type: ignore[arg-type]
        log.end()
        return [line.text async for line in log.read()]

    return asyncio.run(story())


def test_a_broken_connection_repeats_and_loses_nothing() -> None:
    server = Server(
        [FIRST + b"a", FIRST + b"a", Unreachable("broken")],
        [FIRST + b"a", FIRST + b"a", FIRST + b"b", SECOND + b"c", Unreachable("broken")],
        [FIRST + b"b", SECOND + b"c", SECOND + b"c", SECOND + b"d"],
    )
    assert read(server) == ["a", "a", "b", "c", "c", "d"]
    assert [one.get("sinceTime", "").encode() for one in server.asked] == [b"", FIRST.strip(), SECOND.strip()]


def test_an_answer_that_ends_before_the_container_is_asked_for_again() -> None:
    server = Server([FIRST + b"a"], [FIRST + b"a", SECOND + b"b"], [SECOND + b"b"])
    assert read(server, runs_on=True) == ["a", "b"]


def test_a_container_that_has_not_begun_is_waited_for() -> None:
    waiting = Refused(400, "BadRequest", 'container "c" in pod "p" is waiting to start: ContainerCreating')
    assert read(Server([waiting], [FIRST + b"a"])) == ["a"]


def test_a_pod_that_is_gone_has_no_more_lines() -> None:
    gone = Refused(404, "NotFound", 'pods "p" not found')
    assert read(Server([FIRST + b"a", gone])) == ["a"]


def test_a_kubelet_that_does_not_know_the_pod_yet_is_asked_again() -> None:
    unknown = Refused(404, "NotFound", "the server could not find the requested resource")
    server = Server([FIRST + b"a", unknown], [FIRST + b"a", SECOND + b"b"], [SECOND + b"b"])
    assert read(server, runs_on=True) == ["a", "b"]


def test_kubelet_s_own_words_are_not_the_task_s() -> None:
    assert read(Server([FIRST + b"a", b"rpc error: code = NotFound"], [FIRST + b"a", SECOND + b"b"])) == ["a", "b"]


def test_times_within_a_long_line_are_taken_out() -> None:
    part = b"x" * 16384
    assert read(Server([FIRST + part + SECOND + part + SECOND + b"end"])) == ["x" * 32768 + "end"]
    whole = b"x" * 16384 + b"y" * 10
    assert read(Server([FIRST + whole])) == [whole.decode()]


def test_the_last_part_of_much_output_is_kept() -> None:
    async def story() -> None:
        log = Log()
        for number in range(2 * KEPT_BYTES // 1000):
            log.add(f"{number:999}")
        log.end()
        lines = [line.text async for line in log.read()]
        assert lines[0] == f"... {log.dropped} lines left out ..."
        assert int(lines[1]) == log.dropped
        assert int(lines[-1]) == 2 * KEPT_BYTES // 1000 - 1

    asyncio.run(story())
