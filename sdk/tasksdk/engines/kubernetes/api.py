"""The API server, asked through the official client; what may pass is asked again."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasksdk.errors import EngineError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from typing import TypeAlias

    from tasksdk.engines.kubernetes.settings import Settings

    Query: TypeAlias = Sequence[tuple[str, str]]

_PASSING = {429, 500, 502, 503, 504}
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
_ANSWER_SECONDS = 30.0
WATCH_SECONDS = 60
_LONGEST_LINE = 2**23
_FIND_HINT = "set KUBECONFIG, or kubeconfig and context in the engine's settings"
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Refused(Exception):  # noqa: N818 - it is the API server's answer, and most callers expect it
    """The API server's own answer to a request that it will not do: `code` as in HTTP, `reason` in its words."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


class Unreachable(Exception):  # noqa: N818 - see Refused
    """No answer, or one that may be another in a moment."""


class Unauthenticated(Unreachable):
    """The server does not know the user: maybe not any longer, where a token has its time."""


class Api:
    """Requests in JSON, as the server understands them: no models stand between, so versions may differ."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self._former: list[Any] = []
        self._opening = asyncio.Lock()
        self.namespace = settings.namespace or "default"

    async def request(
        self, method: str, path: str, *, query: Query = (), body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The answer to a request, which is sent again while the server is out of reach.

        Raises:
            Refused: the server answered that it will not do it.
            EngineError: the server was out of reach for longer than `patience_seconds`.
        """
        give_up, delay = time.monotonic() + self._settings.patience_seconds, _FIRST_DELAY
        renewed = False
        while True:
            try:
                return await self._once(method, path, query, body)
            except Unauthenticated as error:
                if renewed:
                    message = f"the Kubernetes API server does not know this user: {error}"
                    raise EngineError(message, hint="log in again") from None
                renewed = True
                self._renew()
            except Unreachable as error:
                if time.monotonic() + delay > give_up:
                    raise EngineError(
                        f"the Kubernetes API server is out of reach: {error}",
                        hint="see whether `kubectl get nodes` works with the same kubeconfig",
                    ) from None
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def watch(self, path: str, query: Query) -> AsyncGenerator[dict[str, Any]]:
        """Changes from now on, until the server ends the answer; see Unreachable and Refused."""
        parameters = [*query, ("watch", "true"), ("timeoutSeconds", str(WATCH_SECONDS))]
        async with aclosing(self.lines(path, parameters, WATCH_SECONDS + _ANSWER_SECONDS)) as lines:
            async for line in lines:
                event = _parsed(line)
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise Refused(status.get("code", 0), status.get("reason", ""), status.get("message", ""))
                yield event

    async def lines(self, path: str, query: Query, seconds: float | None) -> AsyncGenerator[bytes]:
        """The lines of an answer that comes bit by bit, without their ends; one that is too long comes in parts."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_ANSWER_SECONDS)
        answer = await self._send("GET", path, query, None, timeout)
        rest = b""
        try:
            if answer.status != 200:
                raise _refusal(answer.status, await answer.read())
            async for piece in answer.content.iter_any():
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    yield line
                if len(rest) > _LONGEST_LINE:  # a task may write without ever ending a line
                    yield rest
                    rest = b""
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Unreachable(str(error) or type(error).__name__) from None
        finally:
            await _break_off(answer)
        if rest:
            yield rest

    async def close(self) -> None:
        """Let go of the connections."""
        self._renew()
        for client in self._former:
            await client.close()
        self._former.clear()
        await asyncio.sleep(0)

    def _renew(self) -> None:
        """Log in afresh at the next request; what still comes through the former client goes on."""
        if self._client is not None:
            self._former.append(self._client)
            self._client = None

    async def _once(self, method: str, path: str, query: Query, body: Mapping[str, Any] | None) -> dict[str, Any]:
        import aiohttp

        answer = await self._send(method, path, query, body, aiohttp.ClientTimeout(total=_ANSWER_SECONDS))
        try:
            data = await answer.read()
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Unreachable(str(error) or type(error).__name__) from None
        finally:
            answer.release()
        if answer.status >= 300:
            raise _refusal(answer.status, data)
        return _parsed(data)

    async def _send(self, method: str, path: str, query: Query, body: Mapping[str, Any] | None, timeout: Any) -> Any:
        import aiohttp

        client = await self.open()
        headers = {"Accept": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            parameters = await client.param_serialize(
                method, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            response = await client.call_api(*parameters, _request_timeout=timeout)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Unreachable(str(error) or type(error).__name__) from None
        return response.response

    async def open(self) -> Any:
        """Connect; only then is the namespace known."""
        async with self._opening:
            if self._client is None:
                self._client = await self._connect()
        return self._client

    async def _connect(self) -> Any:
        try:
            from kubernetes.aio import client, config
        except ImportError:
            raise MissingDependencyError(
                "the kubernetes engine needs the Kubernetes client", hint='pip install "tasksdk[kubernetes]"'
            ) from None
        settings, configuration = self._settings, client.Configuration()
        configuration.connection_pool_maxsize = 0  # each attempt's log is a connection of its own
        if not (settings.kubeconfig or os.environ.get("KUBECONFIG")) and (_IN_CLUSTER / "token").exists():
            config.load_incluster_config(client_configuration=configuration)
            self.namespace = settings.namespace or (_IN_CLUSTER / "namespace").read_text()
            return client.ApiClient(configuration)
        _check_there(settings.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config")
        try:
            contexts, active = config.list_kube_config_contexts(config_file=settings.kubeconfig)
            await config.load_kube_config(
                config_file=settings.kubeconfig, context=settings.context, client_configuration=configuration
            )
        except (config.ConfigException, OSError, ValueError) as error:
            raise EngineError(f"the kubernetes engine finds no cluster: {error}", hint=_FIND_HINT) from None
        chosen = next((one for one in contexts if one["name"] == settings.context), active)
        self.namespace = settings.namespace or chosen["context"].get("namespace") or "default"
        return client.ApiClient(configuration)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(data)
    except ValueError:
        raise Unreachable(f"something else than the API server answers: {data[:80]!r}") from None
    return found


async def _break_off(answer: Any) -> None:
    """Close a connection whose answer is not read to its end, without a farewell that the server may never return."""
    connection = answer.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    answer.close()
    await asyncio.sleep(0)  # the transport closes in the next round of the loop


def _check_there(kubeconfig: str) -> None:
    if not any(Path(one).expanduser().is_file() for one in kubeconfig.split(os.pathsep)):
        raise EngineError(f"the kubernetes engine finds no cluster: there is no {kubeconfig}", hint=_FIND_HINT)


def _refusal(status: int, data: bytes) -> Exception:
    try:
        answer = json.loads(data)
        reason, message = answer.get("reason") or "", answer.get("message") or ""
    except (ValueError, AttributeError):
        reason, message = "", data[:200].decode(errors="replace")
    message = " ".join(message.split()) or f"HTTP status {status}"
    if status in _PASSING:
        return Unreachable(message)
    if status == 401:
        return Unauthenticated(message)
    return Refused(status, reason, message)
