"""How fast 1,000 images are checked: at a registry on this machine, and at one 30 ms away.

`floor` sends the same requests from one epoll loop and looks at nothing but the length of each answer: what the
registry and the machine can do. `httpx` is the usual way: one pool with 64 connections and 64 threads. Rounds are
interleaved, so that a busy machine hits all alike, and the median counts.
"""

from __future__ import annotations

import json
import os
import select
import socket
import statistics
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from typing import TYPE_CHECKING

from row import Row

from imagebuilder.registry import Client, MemoryStore, Present, check, check_many, push
from imagebuilder.registry import media_types as types
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNT = 1000
CONNECTIONS = 64
ROUNDS = 7
ROUND_TRIP = 0.030
PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
REPOSITORY = "bench/checks"
_HEAD = f"GET /v2/{REPOSITORY}/manifests/t%d HTTP/1.1\r\nHost: %s\r\nAccept: {types.ACCEPT}\r\n\r\n"


def setup(host: str) -> None:
    """Put 1,000 tags, each an index of two images, into a repository, unless they are there."""
    last = Reference.parse(f"{host}/{REPOSITORY}:t{COUNT - 1}")
    store, children = MemoryStore(), []
    with Client() as client:
        if isinstance(check(client, last, PLATFORMS), Present):
            return
        for platform in PLATFORMS:
            config = store.add(
                json.dumps({"os": platform.os, "architecture": platform.architecture}).encode(), types.OCI_CONFIG
            )
            layer = store.add(platform.architecture.encode(), types.OCI_LAYER)
            image = {
                "schemaVersion": 2,
                "mediaType": types.OCI_MANIFEST,
                "config": config.to_json(),
                "layers": [layer.to_json()],
            }
            children.append(
                store.add(json.dumps(image).encode(), types.OCI_MANIFEST).replace(platform=platform).to_json()
            )
        for number in range(COUNT):
            index = {
                "schemaVersion": 2,
                "mediaType": types.OCI_INDEX,
                "manifests": children,
                "annotations": {"n": str(number)},
            }
            root = store.add(json.dumps(index).encode(), types.OCI_INDEX)
            ref = last.with_tag(f"t{number}")
            if number == 0:
                push(client, store, root, ref)
            else:
                client.put_manifest(ref, store.contents[root.digest], types.OCI_INDEX)


def ours(host: str) -> float:
    """Seconds that `check_many` takes, connections and threads included."""
    questions = [(Reference.parse(f"{host}/{REPOSITORY}:t{number}"), PLATFORMS) for number in range(COUNT)]
    begun = time.perf_counter()
    with Client() as client:
        verdicts = check_many(client, questions, parallel=CONNECTIONS)
    taken = time.perf_counter() - begun
    assert all(isinstance(verdict, Present) for verdict in verdicts)
    return taken


def floor(host: str) -> float:
    """Seconds that one epoll loop takes for the same requests."""
    name, _, port = host.rpartition(":")
    numbers = iter(range(COUNT))
    begun = time.perf_counter()
    poll, sockets, left = select.epoll(), {}, COUNT

    def ask(sock: socket.socket) -> None:
        number = next(numbers, None)
        if number is not None:
            sock.sendall((_HEAD % (number, host)).encode())

    for _ in range(CONNECTIONS):
        sock = socket.create_connection((name, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[sock.fileno()] = (sock, bytearray())
        poll.register(sock, select.EPOLLIN)
        ask(sock)
    while left:
        for descriptor, _ in poll.poll(20):
            sock, answer = sockets[descriptor]
            answer += sock.recv(65536)
            head, end, body = answer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if end and len(body) >= length:
                assert head.startswith(b"HTTP/1.1 200")
                answer.clear()
                left -= 1
                ask(sock)
    taken = time.perf_counter() - begun
    for sock, _ in sockets.values():
        sock.close()
    return taken


def httpx_pool(host: str) -> float:
    """Seconds that 64 threads on one httpx client take to fetch and parse the same manifests."""
    import httpx

    begun = time.perf_counter()
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    with httpx.Client(base_url=f"http://{host}", limits=limits, headers={"Accept": types.ACCEPT}) as client:

        def ask(number: int) -> bool:
            answer = client.get(f"/v2/{REPOSITORY}/manifests/t{number}")
            answer.raise_for_status()
            found = {child["platform"]["architecture"] for child in answer.json()["manifests"]}
            return found == {"amd64", "arm64"}

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            assert all(pool.map(ask, range(COUNT)))
    return time.perf_counter() - begun


@contextmanager
def far_away(host: str, round_trip: float = ROUND_TRIP) -> Iterator[str]:
    """The address of a proxy to `host` that holds all bytes back for half a round trip each way."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    child = get_context("fork").Process(target=_delay, args=(listener, host, round_trip / 2), daemon=True)
    child.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        child.kill()
        child.join()
        listener.close()


def _delay(listener: socket.socket, host: str, delay: float) -> None:
    """Pass bytes on when they are old enough; looks once a millisecond, which costs little and is counted in."""
    name, _, port = host.rpartition(":")
    poll, pairs = select.epoll(), {}
    waiting: deque[tuple[float, socket.socket, bytes]] = deque()
    poll.register(listener, select.EPOLLIN)
    while True:
        if not waiting:
            poll.poll()
        time.sleep(0.001)
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, target, data = waiting.popleft()
            target.sendall(data) if data else target.shutdown(socket.SHUT_WR)
        due = now + delay - 0.0011
        for descriptor, _ in poll.poll(0):
            if descriptor == listener.fileno():
                near, far = listener.accept()[0], socket.create_connection((name, int(port)))
                for one, other in ((near, far), (far, near)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    pairs[one.fileno()] = (one, other)
                    poll.register(one, select.EPOLLIN)
                continue
            one, other = pairs[descriptor]
            try:
                data = one.recv(65536)
            except OSError:
                data = b""
            if not data:
                poll.unregister(one)
            waiting.append((due, other, data))


def compare(host: str, *ways: Callable[[str], float]) -> list[float]:
    """The median seconds of each way, rounds interleaved; a first round is thrown away."""
    taken = [[way(host) for way in ways] for _ in range(ROUNDS + 1)][1:]
    return [statistics.median(times) for times in zip(*taken, strict=True)]


def rows(host: str | None = None) -> list[Row]:
    """The report's lines."""
    host = host or os.environ.get("IMAGEBUILDER_TEST_REGISTRY", "127.0.0.1:5000").replace("localhost", "127.0.0.1")
    setup(host)
    ways = [ours, floor, *([httpx_pool] if find_spec("httpx") else [])]
    near = compare(host, *ways)
    with far_away(host, ROUND_TRIP) as address:
        far = compare(address, *ways)
    return [
        Row(f"{COUNT} checks here", _shown(near[0]), _others(near), ">= 1,200/s", COUNT / near[0] >= 1200),
        Row(f"{COUNT} checks, 30 ms away", _shown(far[0]), _others(far), "<= 0.8 s", far[0] <= 0.8),
    ]


def _shown(taken: float) -> str:
    return f"{taken:.2f} s, {COUNT / taken:,.0f}/s"


def _others(times: list[float]) -> str:
    return ", ".join(f"{name} {taken:.2f} s" for name, taken in zip(("floor", "httpx"), times[1:], strict=False))
