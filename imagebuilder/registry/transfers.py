"""Blobs on their way to repositories, for many copies at once: `Transfers`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from imagebuilder.registry.pusher import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.pusher import PushJob
    from imagebuilder.spec.reference import Reference

    Done: TypeAlias = Callable[[BaseException | None], None]
    Submit: TypeAlias = Callable[[Callable[[], None]], None]

_SOURCES = 2  # repositories to mount from that are tried


class _Wish(NamedTuple):
    """A job that wants a blob, and whom to tell when it is there."""

    job: PushJob
    done: Done


@dataclass(eq=False)
class _Task:
    """A blob on its way to one repository; the first of `wishes` carries it."""

    blob: Descriptor
    place: _Place
    wishes: list[_Wish]


@dataclass(eq=False)
class _Place:
    """What one registry has of one blob: the repositories it is in, and the tasks that bring it to others."""

    held: list[str] = field(default_factory=list)
    tasks: dict[str, _Task] = field(default_factory=dict)
    leader: _Task | None = None
    waiting: list[_Task] = field(default_factory=list)


class Transfers:
    """Brings each blob to a registry once; other repositories of the registry mount it from there.

    Nothing here waits: a task that has to is begun by the one that it waits for. `submit` runs tasks.
    """

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._places: dict[tuple[str, str], _Place] = {}
        self._lock = threading.Lock()

    def note(self, ref: Reference, blobs: Iterable[Descriptor]) -> None:
        """Remember that a repository has these blobs."""
        with self._lock:
            for blob in blobs:
                held = self._place(ref, blob).held
                if ref.repository not in held:
                    held.append(ref.repository)

    def want(self, job: PushJob, blob: Descriptor, done: Done) -> None:
        """Bring a blob to where a job pushes to; `done` is called once, with what failed if anything did."""
        wish, repository = _Wish(job, done), job.ref.repository
        with self._lock:
            place = self._place(job.ref, blob)
            known = repository in place.held
            task = place.tasks.get(repository)
            begins = not known and task is None
            if task is not None and not known:
                task.wishes.append(wish)
            elif begins:
                task = place.tasks[repository] = _Task(blob, place, [wish])
                if place.leader is not None and not place.held:
                    place.waiting.append(task)
                    begins = False
                elif not place.held:
                    place.leader = task
        if known:
            job.note(job.tally.skipped, blob, "exists")
            done(None)
        elif begins and task is not None:
            self._begin(task)

    def _place(self, ref: Reference, blob: Descriptor) -> _Place:
        return self._places.setdefault((ref.registry, blob.digest), _Place())

    def _begin(self, task: _Task) -> None:
        self._submit(lambda: self._run(task))

    def _run(self, task: _Task) -> None:
        job, error = task.wishes[0].job, None
        try:
            if not self._needed(task):
                raise StoppedError  # noqa: TRY301 - as where it is stopped on the way
            with self._lock:
                sources = tuple(task.place.held[:_SOURCES])
            job.bring(task.blob, sources, lambda: self._needed(task))
        except BaseException as failure:  # noqa: BLE001 - handed to whoever wants the blob
            error = failure
        self._end(task, error)

    def _needed(self, task: _Task) -> bool:
        """Whether anybody still wants the blob, or waits to mount it from there."""
        with self._lock:
            waiting = task.place.waiting if task.place.leader is task else []
            return any(not wish.job.stopped.is_set() for one in (task, *waiting) for wish in one.wishes)

    def _end(self, task: _Task, error: BaseException | None) -> None:
        with self._lock:
            if isinstance(error, StoppedError):
                # The copy that carried it failed for another reason; others may still want it.
                live = [wish for wish in task.wishes[1:] if not wish.job.stopped.is_set()]
                ended, task.wishes[:] = [wish for wish in task.wishes if wish not in live], live
            else:
                ended = list(task.wishes)
                live = []
            ready = [task] if live else self._close(task, error, ended[0].job.ref.repository)
        for next_task in ready:
            self._begin(next_task)
        for number, wish in enumerate(ended):
            if number and error is None:
                wish.job.note(wish.job.tally.skipped, task.blob, "exists")
            wish.done(error)

    @staticmethod
    def _close(task: _Task, error: BaseException | None, repository: str) -> list[_Task]:
        """Take a task out of its place; those that waited for it and may begin now."""
        place = task.place
        del place.tasks[repository]
        if error is None and repository not in place.held:
            place.held.append(repository)
        if place.leader is not task:
            return []
        place.leader = None
        if error is None:
            ready, place.waiting = place.waiting, []
            return ready
        if place.waiting:
            place.leader = place.waiting.pop(0)
            return [place.leader]
        return []
