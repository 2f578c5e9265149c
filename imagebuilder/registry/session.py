"""Requests to registries: where they answer, with what authorization, and what their failures mean."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from imagebuilder.errors import RegistryError
from imagebuilder.registry import answer
from imagebuilder.registry.origin import Location, Origin
from imagebuilder.registry.transport import Request, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagebuilder.errors import DeniedError
    from imagebuilder.registry.authorizer import Authorizer
    from imagebuilder.registry.clock import Clock
    from imagebuilder.registry.connection import Response
    from imagebuilder.registry.credentials import Credentials
    from imagebuilder.registry.scope import Scopes
    from imagebuilder.registry.settings import RegistrySettings
    from imagebuilder.spec.reference import Reference


class Call(NamedTuple):
    """One request to the registry of `ref`.

    `target` is a path under /v2/, or a `Location` that the registry gave. `long` lets a body take longer than an
    operation may; `once` leaves retries to the caller; `attempts` limits them.
    """

    method: str
    ref: Reference
    target: str | Location
    scopes: Scopes
    task: str
    headers: str = ""
    body: Callable[[], Iterable[bytes]] | None = None
    long: bool = False
    once: bool = False
    attempts: int | None = None


class Session:
    """Sends calls; for all threads of a client."""

    def __init__(self, settings: RegistrySettings, credentials: Credentials | None, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.transport = Transport(settings, clock)
        self._credentials = credentials
        self._authorizer: Authorizer | None = None
        self._lock = threading.Lock()
        self._origins: dict[str, Origin] = {}

    def deadline(self) -> float:
        """When an operation that starts now is over."""
        return self.clock.monotonic() + self.settings.operation_timeout

    def origin(self, registry: str) -> Origin:
        """Where a registry answers."""
        origin = self._origins.get(registry)
        if origin is None:
            origin = self._origins[registry] = self.settings.origin(registry)
            self.transport.trust(origin)
        return origin

    def request(self, call: Call, ref: Reference) -> Request:
        """The request that a call makes, still without authorization."""
        origin = self.origin(ref.registry)
        location = call.target if isinstance(call.target, Location) else Location(origin, f"/v2/{call.target}")
        return Request(
            call.method, location, ref.registry, f"{call.task} {ref}", call.headers, "", call.body, call.attempts
        )

    def send(self, call: Call, deadline: float | None = None) -> Response:
        """Send a call, with a token where the registry wants one.

        Raises:
            DeniedError: the registry refused with 401 what we have; a 403 is left to the caller.
            RegistryError: no answer came, or passing failures only.
            OSError: no answer came, where the call says `once`.
        """
        deadline = self.deadline() if deadline is None else deadline
        ref = call.ref
        request = self.request(call, ref)
        own = request.location.origin == self.origin(ref.registry)
        authorizer = self._authorizer
        if own and authorizer is not None:
            request = request._replace(authorization=authorizer.header(ref, call.scopes, deadline))
        response = self._send(request, call, deadline)
        if response.status != 401 or not own:
            return response
        header = response.headers.get("www-authenticate", "")
        response.discard()
        line = self._authorization().renew(ref, call.scopes, header, request.authorization, deadline)
        response = self._send(request._replace(authorization=line), call, deadline)
        if response.status == 401:
            raise self.denied(ref, self.failure(response))
        return response

    def failure(self, response: Response) -> answer.Failure:
        """Read an error answer; one that breaks off says what its head says."""
        try:
            body = response.read(answer.BODY_LIMIT)
        except OSError:
            response.close()
            body = b""
        return answer.read_failure(response.status, response.headers, body)

    def refuse(self, call: Call, failure: answer.Failure, hint: str | None = None) -> NoReturn:
        """Raise what an unexpected answer means.

        Raises:
            DeniedError: for 401 and 403 of the registry itself.
            RegistryError: for all others.
        """
        own = not isinstance(call.target, Location) or call.target.origin == self.origin(call.ref.registry)
        if failure.status in (401, 403) and own:
            raise self.denied(call.ref, failure)
        who = call.ref.registry if own or not isinstance(call.target, Location) else str(call.target.origin)
        raise RegistryError(
            f"{call.task} {call.ref} failed: {who} answered {failure.text}",
            hint=hint,
            status=failure.status,
            codes=failure.codes,
        )

    def denied(self, ref: Reference, failure: answer.Failure) -> DeniedError:
        """A refusal in words."""
        return self._authorization().denied(ref, failure)

    def close(self) -> None:
        """Close all connections."""
        self.transport.close()

    def _authorization(self) -> Authorizer:
        """Made when a registry first refuses: anonymous requests need nothing of it."""
        from imagebuilder.registry.authorizer import Authorizer

        with self._lock:
            if self._authorizer is None:
                self._authorizer = Authorizer(self._credentials, self.transport, self.clock)
            return self._authorizer

    def _send(self, request: Request, call: Call, deadline: float) -> Response:
        if call.once:
            return self.transport.send_once(request, deadline, limited=not call.long)
        return self.transport.send(request, deadline, limited=not call.long)
