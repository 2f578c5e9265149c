"""Calls on their way to the client, and its answers on theirs back: the attempt's side of a mailbox."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from tasksdk.errors import EngineError, TaskSdkError, UserInputError
from tasksdk.running.failure_document import read_failure
from tasksdk.running.mailbox import ERROR, NOTHING, Mailbox, Posted
from tasksdk.types import storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasksdk.running.mailbox import Answered

    Write = Callable[[str], bytes]

PATIENCE = "TASKSDK_CALL_PATIENCE"
_PATIENCE = 600.0
_LAST_WORDS = 10.0
_READS = 5


class Sent:
    """One call: the number it has, and its outputs in wire form; None where these are to be ignored."""

    def __init__(self, number: int, inputs: bytes, write: Write) -> None:
        self.number = number
        self.inputs = inputs
        self.write = write
        self.future: Future[bytes | None] = Future()
        self.reads = 0


class Post:
    """Posts and looks in one thread, which begins with the first call and rests while nothing is awaited."""

    def __init__(self, outputs: str) -> None:
        self._mailbox = Mailbox(outputs)
        self._patience = _patience(os.environ.get(PATIENCE))
        self._changed = threading.Condition()
        # What is asked for, and what of it is posted; the thread alone writes the second.
        self._calls = 0
        self._new_calls: list[Sent] = []
        self._new_steps: list[bytes] = []
        self._cancelled: list[int] = []
        self._posted = Posted(os.urandom(8).hex())
        self._sent: dict[int, Sent] = {}
        self._closed = False
        self._thread: threading.Thread | None = None

    def send(self, inputs: bytes, write: Write) -> Sent:
        """Ask for a call; `write` gives its document, told where the inputs will lie."""
        with self._changed:
            self._calls += 1
            sent = Sent(self._calls, inputs, write)
            self._new_calls.append(sent)
            self._wake()
        return sent

    def tell(self, step: bytes) -> None:
        """Tell of an action that was done here."""
        with self._changed:
            self._new_steps.append(step)
            self._wake()

    def cancel(self, sent: Sent) -> None:
        """Nobody waits for it any more."""
        with self._changed:
            if not sent.future.done():
                self._cancelled.append(sent.number)
                self._sent.pop(sent.number, None)
                self._wake()

    def close(self) -> None:
        """Post what is left; what is not answered yet ends with the attempt."""
        with self._changed:
            self._closed = True
            self._sent.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_LAST_WORDS)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tasksdk-calls", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _work(self) -> None:
        fast, slow = self._mailbox.pauses
        pause, beat, heard = fast, -1.0, time.monotonic()
        while True:
            with self._changed:
                if not self._news():
                    if self._closed:
                        return
                    if not self._sent:
                        heard = time.monotonic()
                    self._changed.wait(pause if self._sent else None)
                calls, self._new_calls = self._new_calls, []
                steps, self._new_steps = self._new_steps, []
                cancelled = tuple(self._cancelled)
                if calls and not self._sent:
                    heard = time.monotonic()
                self._sent.update({sent.number: sent for sent in calls})
            if calls or steps or cancelled != self._posted.cancelled:
                self._post(calls, steps, cancelled)
                pause = fast
            found = self._look() if self._sent else None
            if found is not None and found.beat != beat:
                beat, heard = found.beat, time.monotonic()
            if found is not None and self._take(found):
                pause = fast
                continue
            pause = min(pause * 1.5, slow)
            if time.monotonic() - heard > self._patience:
                self._fail(list(self._sent.values()), _gone(self._patience))

    def _news(self) -> bool:
        return bool(self._new_calls or self._new_steps) or len(self._cancelled) != len(self._posted.cancelled)

    def _post(self, calls: list[Sent], steps: list[bytes], cancelled: tuple[int, ...]) -> None:
        """Write the documents, then say that they are there. A step that cannot be told is not worth a failure."""
        session, told = self._posted.session, self._posted.steps
        for sent in calls:
            try:
                where = self._mailbox.inputs(session, sent.number)
                document = sent.write(where)
                storage.write(where, sent.inputs)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                self._fail([sent], error)
                # The numbers are counted: this one is of a call that nobody makes.
                document, cancelled = b"", (*cancelled, sent.number)
                self._cancelled.append(sent.number)
            self._write(self._mailbox.call(session, sent.number), document, [sent])
        for step in steps:
            told += 1
            self._write(self._mailbox.step(session, told), step, [])
        self._posted = Posted(session, max([self._posted.calls, *(s.number for s in calls)]), cancelled, told)
        self._write(None, b"", calls)

    def _write(self, uri: str | None, document: bytes, waiting: list[Sent]) -> None:
        try:
            if uri is None:
                self._mailbox.post(self._posted)
            else:
                storage.write(uri, document)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self._fail(waiting, error)

    def _fail(self, waiting: list[Sent], error: Exception) -> None:
        for sent in waiting:
            with self._changed:
                self._sent.pop(sent.number, None)
            if not sent.future.done():
                sent.future.set_exception(error)

    def _look(self) -> Answered | None:
        try:
            found = self._mailbox.answered()
        except Exception:  # noqa: BLE001 - a storage that fails for a moment; the patience ends it where it goes on
            return None
        return found if found is not None and found.session == self._posted.session else None

    def _take(self, found: Answered) -> bool:
        """Hand the answers to those who wait for them."""
        with self._changed:
            here = [self._sent.pop(number) for number in found.kinds if number in self._sent]
        for sent in here:
            kind = found.kinds[sent.number]
            try:
                answer = None
                if kind != NOTHING:
                    answer = storage.read(self._mailbox.answer(self._posted.session, sent.number, kind))
                if kind == ERROR and answer is not None:
                    self._fail([sent], read_failure(answer))
                else:
                    sent.future.set_result(answer)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                # It is there: a storage that fails for a moment gives it later.
                sent.reads += 1
                if sent.reads == _READS:
                    self._fail([sent], error)
                else:
                    with self._changed:
                        self._sent[sent.number] = sent
        return bool(here)


def _patience(told: str | None) -> float:
    try:
        return float(told or _PATIENCE)
    except ValueError:
        raise UserInputError(f"{PATIENCE}: {told!r} is no number of seconds", hint=f"write {PATIENCE}=3600") from None


def _gone(patience: float) -> TaskSdkError:
    return EngineError(
        f"the client, which runs what this task calls, has not answered for {patience:g} s",
        hint=f"run it again under the same name; the task's variable {PATIENCE} says how long it waits, in seconds",
    )
