"""What an attempt calls while it runs: read from its mailbox, run as actions of the run, answered there."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tasksdk.running.calls import Call
from tasksdk.running.failure_document import write_failure
from tasksdk.running.mailbox import ERROR, NOTHING, OUTPUTS, Answered, Mailbox
from tasksdk.running.notice import say_once
from tasksdk.running.traced import read_row
from tasksdk.types import storage
from tasksdk.wire import read_map, write_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasksdk.context.current import TaskContext
    from tasksdk.running.engine_body import EngineBody
    from tasksdk.running.run_state import RunState

P = ParamSpec("P")
T = TypeVar("T")
# How often the client says that it is there, where it has nothing else to say.
_BEAT_SECONDS = 15.0


class Children:
    """Serves the mailbox of one attempt as long as that runs.

    Each attempt has places of its own for what it calls: no attempt waits for a place that one above it holds.
    """

    def __init__(
        self, state: RunState, body: EngineBody, parent: TaskContext, attempt: str, mask: Callable[[str], str]
    ) -> None:
        assert parent.output_path is not None
        self._state = state
        self._body = body
        self._parent = parent
        self._attempt = attempt
        self._mask = mask
        self._mailbox = Mailbox(parent.output_path)
        self._places = asyncio.Semaphore(body.engine.at_once)
        self._before: str | None = None
        self._session: str | None = None
        self._calls = 0
        self._steps = 0
        self._going: dict[int, tuple[asyncio.Task[None], EngineBody]] = {}
        self._stopped: set[int] = set()
        self._kinds: dict[int, str] = {}
        self._told_at = 0.0
        self._telling = asyncio.Lock()
        self._untold = False
        self._serving: asyncio.Task[None] | None = None

    async def look_before(self) -> None:
        """See what an earlier process of the attempt left, before this one is submitted; a new name has no earlier."""
        if self._state.turn is not None:
            posted = await self._io(self._mailbox.posted)
            self._before = None if posted is None else posted.session

    def begin(self, *, joined: bool) -> None:
        """Serve from now on; `joined` where the process that is there may be the earlier one."""
        if joined:
            self._before = None
        self._serving = asyncio.ensure_future(self._serve())

    async def end(self, why: str) -> None:
        """Take a last look at what it told, and abort what it called and did not wait for."""
        self._body.abort(why)
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait({self._serving})
            with suppress(Exception):
                await self._look(last=True)
        going = [task for task, _ in self._going.values()]
        self._stop(list(self._going), why)
        if going:
            await asyncio.wait(going)

    async def _serve(self) -> None:
        fast, slow = self._mailbox.pauses
        pause = fast
        while True:
            try:
                news = await self._look()
                if self._session is not None and time.monotonic() - self._told_at > _BEAT_SECONDS:
                    await self._tell()
                pause = fast if news else min(pause * 1.5, slow)
            except Exception as error:  # noqa: BLE001 - a storage that fails for a moment must not end the run
                say_once(f"what {self._parent.task_name} calls cannot be read, and is looked for again: {error}")
                pause = slow
            await asyncio.sleep(pause)

    async def _look(self, *, last: bool = False) -> bool:
        """Begin what is new, end what is no longer wanted; whether there was any. At `last`, record steps alone."""
        posted = await self._io(self._mailbox.posted)
        if posted is None or posted.session == self._before:
            return False
        if posted.session != self._session:
            await self._open(posted.session)
        news = (self._calls, self._steps) < (posted.calls, posted.steps)
        while self._steps < posted.steps:
            row = read_row(await self._io(storage.read, self._mailbox.step(posted.session, self._steps + 1)))
            row.error = None if row.error is None else self._mask(row.error)
            self._state.put(row)
            self._steps += 1
        while self._calls < posted.calls and not last:
            await self._begin(posted.session, self._calls + 1, wanted=self._calls + 1 not in posted.cancelled)
            self._calls += 1
        self._stop(posted.cancelled, f"its parent {self._parent.task_name} no longer waits for it")
        return news

    def _stop(self, numbers: Iterable[int], why: str) -> None:
        """Abort calls that run: each once, as a second time would disturb the first."""
        for number in numbers:
            if number in self._going and number not in self._stopped:
                self._stopped.add(number)
                task, body = self._going[number]
                body.abort(why)
                task.cancel()

    async def _open(self, session: str) -> None:
        """Begin with a process of the attempt; what an earlier client answered it stays answered."""
        if self._going:
            # A process of the same attempt before this one, which its engine started again.
            going = [task for task, _ in self._going.values()]
            self._stop(list(self._going), f"its parent {self._parent.task_name} was started again")
            await asyncio.wait(going)
        answered = await self._io(self._mailbox.answered)
        self._kinds = dict(answered.kinds) if answered is not None and answered.session == session else {}
        self._session, self._calls, self._steps = session, 0, 0
        self._stopped.clear()
        await self._tell()

    async def _begin(self, session: str, number: int, *, wanted: bool) -> None:
        """Begin a call. One that is answered is made, too: the name of a call says which of its like it is."""
        document = await self._io(storage.read, self._mailbox.call(session, number))
        if not document:
            return
        body = self._body.below()
        call = await self._made(session, number, document, body)
        if call is not None and wanted and number not in self._kinds:
            if not self._going:
                body.engine.waiting(self._attempt, waits=True)
            running = asyncio.ensure_future(self._run(session, number, call))
            self._going[number] = running, body
            # Not at the end of what it does: one that is cancelled at once never begins.
            running.add_done_callback(lambda _: self._left(number))

    async def _made(self, session: str, number: int, document: bytes, body: EngineBody) -> Call | None:
        from flyteidl2.workflow.queue_service_pb2 import EnqueueActionRequest

        from tasksdk.running.request import caller_of, task_of

        request = EnqueueActionRequest.FromString(document)
        inputs = read_map(await self._io(storage.read, request.input_uri))
        try:
            task = await asyncio.to_thread(task_of, request)
            return Call(self._state, body, task, inputs, caller_of(request, self._parent))
        except Exception as error:  # noqa: BLE001 - told to whoever called
            where = f"task {request.task.spec.task_template.id.name}"
            await self._answer(session, number, ERROR, write_failure(error, where, self._mask))
            return None

    async def _run(self, session: str, number: int, call: Call) -> None:
        kind, document = await self._outcome(call)
        # Once the attempt has ended, nobody reads it.
        if self._serving is not None and not self._serving.done():
            await self._answer(session, number, kind, document)

    def _left(self, number: int) -> None:
        self._going.pop(number, None)
        if not self._going:
            self._body.engine.waiting(self._attempt, waits=False)

    async def _outcome(self, call: Call) -> tuple[str, bytes]:
        def mask(text: str) -> str:
            return self._state.masked(call.task, text)

        try:
            try:
                async with self._places:
                    outputs = await call.outputs()
            finally:
                # Whoever has the answer goes on: what a client does after this one must have it, too.
                await asyncio.to_thread(self._state.keep)
        except Exception as error:  # noqa: BLE001 - told to whoever called
            return ERROR, write_failure(error, f"task {call.task.name}", mask)
        return (NOTHING, b"") if outputs is None else (OUTPUTS, write_map(outputs))

    async def _answer(self, session: str, number: int, kind: str, document: bytes) -> None:
        """Write an answer, then say that it is there; as often as it takes, as somebody waits for it."""
        while True:
            try:
                if document:
                    await self._io(storage.write, self._mailbox.answer(session, number, kind), document)
                self._kinds[number] = kind
                await self._tell()
            except Exception as error:  # noqa: BLE001 - a storage that fails for a moment
                say_once(f"what {self._parent.task_name} called cannot be answered, and is tried again: {error}")
                await asyncio.sleep(self._mailbox.pauses[1])
            else:
                return

    async def _tell(self) -> None:
        """Say what is answered; answers that come meanwhile are said together."""
        self._untold = True
        async with self._telling:
            if self._untold and self._session is not None:
                self._untold = False
                await self._io(self._mailbox.tell, Answered(self._session, time.time(), dict(self._kinds)))
                self._told_at = time.monotonic()

    async def _io(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it here where it is quick, and in a thread where the documents lie at an address."""
        return work(*args, **kwargs) if self._mailbox.local else await asyncio.to_thread(work, *args, **kwargs)
