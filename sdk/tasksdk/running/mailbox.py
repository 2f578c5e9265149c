"""Where a running attempt asks for calls, and its client answers: documents beside the attempt's outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from imagebuilder.spec.value import Value
from tasksdk.types import storage

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTPUTS, ERROR, NOTHING = "outputs", "error", "nothing"
_FAST, _SLOW = (0.01, 0.2), (0.25, 1.0)


class Posted(Value):
    """What the attempt asked for so far: calls, numbered from 1, of which some are no longer wanted.

    `steps` are actions that it did itself and tells, numbered for themselves.
    """

    session: str
    calls: int = 0
    cancelled: tuple[int, ...] = ()
    steps: int = 0


class Answered(Value):
    """What the client answered so far, and how; `beat` changes as long as the client is there."""

    session: str
    beat: float = 0.0
    kinds: Mapping[int, str] = {}


class Mailbox:
    """Each side writes a folder of its own and reads the other's.

    One small document of each side says how much is there: to look costs one read, however much that is. It is written
    after what it speaks of. A session is one process of the attempt.
    """

    def __init__(self, outputs: str) -> None:
        self._calls = storage.join(outputs, "calls")
        self._answers = storage.join(outputs, "answers")
        self.local = storage.local_path(outputs) is not None

    @property
    def pauses(self) -> tuple[float, float]:
        """Seconds between two looks: after something happened, and when nothing did for a while."""
        return _FAST if self.local else _SLOW

    def posted(self) -> Posted | None:
        """What the attempt asked for; None where it never did."""
        found = _read(storage.join(self._calls, "posted.json"))
        if found is None:
            return None
        return Posted(found["session"], found["calls"], tuple(found["cancelled"]), found["steps"])

    def post(self, posted: Posted) -> None:
        """Tell what was asked for; the documents of the calls are there already."""
        document = {**posted.__dict__, "cancelled": list(posted.cancelled)}
        storage.write(storage.join(self._calls, "posted.json"), json.dumps(document).encode())

    def answered(self) -> Answered | None:
        """What the client answered; None where it never did."""
        found = _read(storage.join(self._answers, "answered.json"))
        if found is None:
            return None
        return Answered(found["session"], found["beat"], {int(number): kind for number, kind in found["kinds"].items()})

    def tell(self, answered: Answered) -> None:
        """Tell what was answered; the documents of the answers are there already."""
        document = {"session": answered.session, "beat": answered.beat, "kinds": dict(answered.kinds)}
        storage.write(storage.join(self._answers, "answered.json"), json.dumps(document).encode())

    def call(self, session: str, number: int) -> str:
        """Where the document of a call lies."""
        return storage.join(self._calls, session, f"{number}.pb")

    def inputs(self, session: str, number: int) -> str:
        """Where the inputs of a call lie."""
        return storage.join(self._calls, session, f"{number}-inputs.pb")

    def step(self, session: str, number: int) -> str:
        """Where the document of a step lies."""
        return storage.join(self._calls, session, f"{number}-step.pb")

    def answer(self, session: str, number: int, kind: str) -> str:
        """Where the answer to a call lies."""
        return storage.join(self._answers, session, f"{number}-{kind}.pb")


def _read(uri: str) -> Any:
    try:
        return json.loads(storage.read(uri))
    except FileNotFoundError:
        return None
