"""Requests to any origin: pools, redirects, retries, waits that all requests to a host share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from imagebuilder.errors import RateLimitedError, RegistryError
from imagebuilder.registry import answer, redirect, retry
from imagebuilder.registry.failure import Explanation, explain
from imagebuilder.registry.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagebuilder.registry.clock import Clock
    from imagebuilder.registry.connection import Response
    from imagebuilder.registry.origin import Location, Origin
    from imagebuilder.registry.settings import RegistrySettings


class Request(NamedTuple):
    """A request; `body` gives its pieces anew each time it is called.

    `authorization` is a header line that goes to the location's own origin alone. `task` says for messages what it is
    about, such as `reading ghcr.io/a/b:1`; `registry` whose request it is.
    """

    method: str
    location: Location
    registry: str
    task: str
    headers: str = ""
    authorization: str = ""
    body: Callable[[], Iterable[bytes]] | None = None
    attempts: int | None = None

    def __repr__(self) -> str:
        return f"Request({self.method} {self.location})"  # authorization is a secret


class Transport:
    """Sends requests; one for each client, for all its threads."""

    def __init__(self, settings: RegistrySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._pools: dict[Origin, Pool] = {}
        self._asked: set[Origin] = set()
        self._not_before: dict[Origin, float] = {}
        self._lock = threading.Lock()
        self._agent = f"User-Agent: {settings.user_agent}\r\n"

    def trust(self, origin: Origin) -> None:
        """Note an origin that the user named: only those may be at link-local addresses."""
        self._asked.add(origin)

    def send(self, request: Request, deadline: float, *, limited: bool = True) -> Response:
        """Send a request until it is answered by other than a passing failure; `limited` as in `send_once`.

        Raises:
            RegistryError: no answer came, or passing failures only, until attempts or time were over.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self.send_once(request, deadline, limited=limited)
            except OSError as error:
                self.pause(request, attempt, deadline, error)
            else:
                if response.status not in retry.STATUSES:
                    return response
                self.pause(request, attempt, deadline, response)

    def send_once(self, request: Request, deadline: float, *, limited: bool = True) -> Response:
        """Send a request and follow its redirects; `limited` False lets a body take longer, as long as it moves.

        Raises:
            OSError: no answer came.
            RegistryError: a redirect leads where we do not go.
        """
        if self._not_before:
            self._wait_turn(request, deadline)
        location, authorization = request.location, request.authorization
        headers = self._agent + request.headers
        end = deadline if limited else None
        for _ in range(redirect.LIMIT + 1):
            response = self._pool(location.origin).send(
                request.method, location.target, headers + authorization, request.body, deadline=end
            )
            if response.status not in redirect.STATUSES or "location" not in response.headers:
                return response
            if request.method not in ("GET", "HEAD") and not redirect.keeps_method(response.status):
                return response
            location = self.follow(request, location, response.headers["location"])
            if location.origin != request.location.origin:
                if request.method == "POST" and request.body:  # the form of a token request is a secret
                    return response
                authorization = ""
            response.discard()
        raise RegistryError(f"{request.task} failed: {request.registry} redirects in circles")

    def follow(self, request: Request, start: Location, reference: str) -> Location:
        """Resolve a Location header.

        Raises:
            RegistryError: it is broken, or leads where we do not go.
        """
        try:
            location = start.join(reference)
        except ValueError as error:
            raise RegistryError(f"{request.task} failed: {request.registry} sent a broken Location: {error}") from None
        if problem := redirect.refusal(start.origin, location.origin):
            raise RegistryError(
                f"{request.task} failed: the Location that {request.registry} sent is refused: {problem}",
                hint="the registry, or the proxy in front of it, is set up wrongly (X-Forwarded-Proto, externalURL)",
            )
        return location

    def pause(self, request: Request, attempt: int, deadline: float, failure: OSError | Response) -> None:
        """Wait before the next attempt, or raise what failed.

        Raises:
            RegistryError: it is not worth another attempt, or there is no time left.
        """
        now = self._clock.monotonic()
        attempts = request.attempts or self._settings.attempts
        retry_after: float | None = None
        status: int | None = None
        codes: tuple[str, ...] = ()
        if isinstance(failure, OSError):
            told = explain(failure, request.registry, self._settings.stall_timeout)
            attempts = min(attempts, told.attempts or attempts)
        else:
            status = failure.status
            retry_after = retry.parse_retry_after(failure.headers.get("retry-after"), self._clock.time())
            said = self._failure(failure)
            told, codes = Explanation(f"it answered {said.text}", None), said.codes
        decision = retry.decide(
            attempt=attempt, attempts=attempts, left=deadline - now, retry_after=retry_after, status=status
        )
        if isinstance(decision, retry.GiveUp):
            why = f"{told.reason}; {decision.reason}" if attempts > 1 else told.reason
            message = f"{request.task} failed: {request.registry}: {why}"
            if decision.rate_limited:
                hint = "try again later; a login often has a higher limit"
                raise RateLimitedError(message, hint=hint, status=status, codes=codes)
            raise RegistryError(message, hint=told.hint, status=status, codes=codes) from (
                failure if isinstance(failure, OSError) else None
            )
        if decision.shared:
            origin = request.location.origin
            until = now + decision.seconds
            with self._lock:
                self._not_before[origin] = max(self._not_before.get(origin, 0.0), until)
        self._clock.sleep(decision.seconds)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()

    def _failure(self, response: Response) -> answer.Failure:
        try:
            body = response.read(answer.BODY_LIMIT)
        except OSError:
            body = b""
        return answer.read_failure(response.status, response.headers, body)

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            with self._lock:
                pool = self._pools.get(origin)
                if pool is None:
                    pool = Pool(self._settings, origin, self._clock, asked=origin in self._asked)
                    self._pools[origin] = pool
        return pool

    def _wait_turn(self, request: Request, deadline: float) -> None:
        origin = request.location.origin
        until = self._not_before.get(origin)
        if until is None:
            return
        now = self._clock.monotonic()
        if until <= now:
            with self._lock:
                if self._not_before.get(origin, now) <= now:
                    self._not_before.pop(origin, None)
            return
        if until > deadline:
            wait = retry.duration(until - now)
            raise RateLimitedError(f"{request.task} failed: {request.registry} asked all requests to wait {wait}")
        self._clock.sleep(until - now)
