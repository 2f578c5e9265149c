"""Authorization headers for registries: one token for each scope set, fetched once by whoever comes first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeAlias

from imagebuilder.errors import DeniedError, ImageBuilderError, RegistryError
from imagebuilder.registry import answer, challenge, scope, token
from imagebuilder.registry.transport import Request, Transport

if TYPE_CHECKING:
    from imagebuilder.registry.challenge import Challenge
    from imagebuilder.registry.clock import Clock
    from imagebuilder.registry.credential import Credential
    from imagebuilder.registry.credentials import Credentials
    from imagebuilder.registry.scope import Scopes
    from imagebuilder.spec.reference import Reference

_Key: TypeAlias = "tuple[str, Scopes]"
# A refusal holds for so long, so that a thousand requests do not each ask again.
_DENIAL_SECONDS = 10.0


class _Flight:
    """A token on its way, which others wait for."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.line = ""
        self.error: ImageBuilderError | None = None


class Authorizer:
    """Knows what each registry asks for and keeps the tokens it gave; for all threads of a client."""

    def __init__(self, credentials: Credentials | None, transport: Transport, clock: Clock) -> None:
        self._credentials = credentials
        self._transport = transport
        self._clock = clock
        self._challenges: dict[str, Challenge] = {}
        self._lines: dict[_Key, tuple[str, float]] = {}
        self._asked: dict[_Key, Scopes] = {}
        self._denied: dict[_Key, tuple[DeniedError, float]] = {}
        self._flights: dict[_Key, _Flight] = {}
        self._lock = threading.Lock()

    def header(self, ref: Reference, scopes: Scopes, deadline: float) -> str:
        """The Authorization line for a request, empty as long as the registry has asked for none.

        Raises:
            RegistryError: the token service refused, or could not answer.
        """
        asked = self._challenges.get(ref.registry) if self._challenges else None
        if asked is None:
            return ""
        known = self._lines.get((ref.registry, scopes))
        if known and self._clock.monotonic() < known[1]:
            return known[0]
        return self._obtain(ref, scopes, asked, "", deadline)

    def renew(self, ref: Reference, scopes: Scopes, header: str, rejected: str, deadline: float) -> str:
        """The Authorization line to send after a 401; `header` is its WWW-Authenticate, `rejected` the line it refused.

        Raises:
            DeniedError: nothing that we have can answer it.
            RegistryError: the token service could not answer.
        """
        challenges = challenge.parse_challenges(header)
        chosen = challenge.choose(challenges)
        if chosen is None:
            raise DeniedError(f"{ref.registry} refused {ref.name}: {challenge.refusal(challenges)}", status=401)
        with self._lock:
            self._challenges[ref.registry] = chosen
            key = (ref.registry, scopes)
            self._asked[key] = scope.merge(self._asked.get(key, ()), scopes, (chosen.parameters.get("scope", ""),))
        return self._obtain(ref, scopes, chosen, rejected, deadline)

    def denied(self, ref: Reference, said: answer.Failure) -> DeniedError:
        """A refusal by the registry itself, with the login that was tried."""
        return _denial(ref, self._login(ref), said.text, said)

    def _login(self, ref: Reference) -> Credential | None:
        return self._credentials.lookup(ref.registry, ref.repository) if self._credentials else None

    def _obtain(self, ref: Reference, scopes: Scopes, chosen: Challenge, rejected: str, deadline: float) -> str:
        key = (ref.registry, scopes)
        with self._lock:
            now = self._clock.monotonic()
            known = self._lines.get(key)
            if known and known[0] != rejected and now < known[1]:
                return known[0]
            denied = self._denied.get(key)
            if denied and now < denied[1]:
                raise denied[0]
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if not leads:
            return self._await(flight, ref, deadline)
        try:
            flight.line, expires = self._line(ref, scopes, chosen, rejected, deadline)
        except ImageBuilderError as error:
            flight.error = error
            if isinstance(error, DeniedError):
                with self._lock:
                    self._denied[key] = (error, self._clock.monotonic() + _DENIAL_SECONDS)
            raise
        else:
            with self._lock:
                self._lines[key] = (flight.line, expires)
            return flight.line
        finally:
            with self._lock:
                del self._flights[key]
            flight.done.set()

    def _await(self, flight: _Flight, ref: Reference, deadline: float) -> str:
        arrived = flight.done.wait(max(0.0, deadline - self._clock.monotonic()))
        if flight.error:
            raise flight.error
        if not arrived or not flight.line:
            raise RegistryError(f"no token for {ref.name} arrived in time")
        return flight.line

    def _line(
        self, ref: Reference, scopes: Scopes, chosen: Challenge, rejected: str, deadline: float
    ) -> tuple[str, float]:
        credential = self._login(ref)
        if chosen.scheme == "bearer":
            asked = self._asked.get((ref.registry, scopes), scopes)
            fetched = self._fetch(ref, asked, chosen, credential, deadline)
            return f"Authorization: Bearer {fetched.value}\r\n", fetched.refresh_at
        if credential is None:
            raise _denial(ref, credential, "401 Unauthorized")
        line = (
            f"Authorization: {token.basic(credential.username, credential.password or credential.identity_token)}\r\n"
        )
        if line == rejected:
            raise _denial(ref, credential, "401 Unauthorized")
        return line, float("inf")

    def _fetch(
        self, ref: Reference, scopes: Scopes, chosen: Challenge, credential: Credential | None, deadline: float
    ) -> token.Token:
        requests = token.token_requests(chosen, scopes, credential)
        for request in requests:
            asked_at = self._clock.monotonic()
            response = self._transport.send(
                Request(
                    request.method,
                    request.location,
                    request.location.origin.authority,
                    f"getting a token for {ref.name}",
                    request.headers,
                    request.authorization,
                    request.pieces if request.body is not None else None,
                ),
                deadline,
            )
            try:
                content = response.read(token.ANSWER_LIMIT)
            except OSError as error:
                raise RegistryError(f"the token service {request.location} for {ref.name}: {error}") from error
            if response.status in (200, 201):
                try:
                    return token.parse_token(content, asked_at)
                except ValueError as error:
                    raise RegistryError(
                        f"the token service {request.location} for {ref.name} sent no token: {error}",
                        hint=f"check that {ref.registry} is a registry and no proxy answers in its place",
                    ) from None
            if request is not requests[-1] and token.is_post_refused(response.status):
                continue
            said = answer.read_failure(response.status, response.headers, content)
            if response.status in (401, 403):
                raise _denial(ref, credential, f"{request.location}: {said.text}", said)
            raise RegistryError(
                f"the token service {request.location} for {ref.name} answered {said.text}",
                status=said.status,
                codes=said.codes,
            )
        raise AssertionError("there is always a last request")


def _denial(ref: Reference, credential: Credential | None, why: str, said: answer.Failure | None = None) -> DeniedError:
    """A refusal in words: whose login was tried, and what to do."""
    if credential is None:
        tried, hint = "without a login", f"log in with `docker login {ref.registry}`"
    else:
        who = f"as {credential.username}" if credential.username else "with the identity token"
        tried = f"{who} (from {credential.source})"
        hint = f"check that this login may use {ref.name}, or log in again with `docker login {ref.registry}`"
    return DeniedError(
        f"{ref.registry} refused {ref.name} {tried}: {why}",
        hint=hint,
        status=said.status if said else 401,
        codes=said.codes if said else (),
    )
