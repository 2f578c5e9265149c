from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from imagebuilder.errors import (
    BuildError,
    DeniedError,
    ImageBuilderError,
    RegistryError,
    SourceChangedError,
    VerificationError,
    WorkError,
)
from imagebuilder.packages import Fetcher, Logins, WheelStore
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.spec.credential import Index

from .conftest import Server, locked, reply

if TYPE_CHECKING:
    import http.server
    from collections.abc import Callable, Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 4000
NAME = "thing-1.0-py3-none-any.whl"


class Clock:
    """Waits are counted, not waited for."""

    def __init__(self) -> None:
        self.monotonic = time.monotonic
        self.time = time.time
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def store(tmp_path: Path) -> WheelStore:
    return WheelStore(tmp_path / "wheels")


made: list[Fetcher] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while made:
        made.pop().close()


def make(store: WheelStore, *logins: str, netrc: Path | None = None, **settings: float) -> Fetcher:
    indexes = [Index.parse(url, "test") for url in logins]
    made.append(Fetcher(store, RegistrySettings(attempts=3, **settings), Logins(indexes, netrc), clock=Clock()))
    return made[-1]


def parts(store: WheelStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


def test_files_come_in_their_order_each_once_and_then_from_the_disk(server: Server, store: WheelStore) -> None:
    contents = {f"p{number}-1.0-py3-none-any.whl": os.urandom(1000 * number + 1) for number in range(12)}
    files = [locked(name, data, server.gives(f"/f/{name}", data)) for name, data in contents.items()]
    seen: list[int] = []
    paths = make(store).fetch([*files, files[0]], seen.append)
    assert [path.read_bytes() for path in paths] == [*contents.values(), contents[files[0].name]]
    assert [path.name for path in paths] == [*contents, files[0].name]
    assert sum(seen) == sum(map(len, contents.values()))
    assert len(server.asked) == 12
    assert make(store).fetch(files) == paths[:-1]
    assert len(server.asked) == 12


def test_sizes_are_told_by_the_disk_the_lock_and_the_index(server: Server, store: WheelStore, tmp_path: Path) -> None:
    def gone(handler: http.server.BaseHTTPRequestHandler) -> None:
        reply(handler, 404, b"")

    server.answers["/gone.whl"] = gone
    there = locked("there.whl", DATA, server.gives("/there.whl", DATA))
    asked = locked("asked.whl", b"1234567", server.gives("/asked.whl", b"1234567"))
    local = tmp_path / "local.whl"
    local.write_bytes(b"12345")
    fetcher = make(store)
    fetcher.fetch([there])
    files = [
        there,
        asked,
        locked("told.whl", b"123", "http://127.0.0.1:1/told.whl", size=3),
        locked("local.whl", b"12345", location=str(local)),
        locked("gone.whl", b"1", f"{server.url}/gone.whl"),
    ]
    assert fetcher.sizes(files) == (len(DATA), 7, 3, 5, None)
    assert [path for path in parts(store) if path.name != "there.whl"] == []


def test_wrong_bytes_are_asked_for_once_more_and_never_kept(server: Server, store: WheelStore) -> None:
    url = server.gives(f"/{NAME}", b"evil" * 100)
    seen: list[int] = []
    with pytest.raises(VerificationError, match=f"{NAME} from .* was locked"):
        make(store).fetch([locked(NAME, DATA, url)], seen.append)
    assert len(server.asked) == 2
    assert parts(store) == []
    assert sum(seen) == 400  # the last attempt was not taken back: it failed for good


def test_more_bytes_than_were_locked_are_not_even_read(server: Server, store: WheelStore) -> None:
    url = server.gives(f"/{NAME}", DATA * 10)
    with pytest.raises(VerificationError, match="longer than the 100 bytes"):
        make(store).fetch([locked(NAME, DATA, url, size=100)])
    assert parts(store) == []


def test_a_damaged_file_in_the_store_is_fetched_anew(server: Server, store: WheelStore) -> None:
    file = locked(NAME, DATA, server.gives(f"/{NAME}", DATA))
    (path,) = make(store).fetch([file])
    path.write_bytes(b"damaged")
    assert make(store).fetch([file])[0].read_bytes() == DATA
    assert len(server.asked) == 2


def test_a_cut_download_is_repeated(server: Server, store: WheelStore) -> None:
    def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
        if len(server.asked) > 1:
            return reply(handler, 200, DATA)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[: len(DATA) // 2])
        handler.close_connection = True
        return None

    server.answers[f"/{NAME}"] = cut
    seen: list[int] = []
    (path,) = make(store).fetch([locked(NAME, DATA, f"{server.url}/{NAME}")], seen.append)
    assert path.read_bytes() == DATA
    assert sum(seen) == len(DATA)


def test_a_download_that_is_always_cut_fails(server: Server, store: WheelStore) -> None:
    def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:1000])
        handler.close_connection = True

    server.answers[f"/{NAME}"] = cut
    with pytest.raises(RegistryError, match=f"fetching {NAME} failed"):
        make(store).fetch([locked(NAME, DATA, f"{server.url}/{NAME}")])
    assert len(server.asked) == 3
    assert parts(store) == []


def test_a_stall_ends(server: Server, store: WheelStore) -> None:
    def stall(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(1)

    server.answers[f"/{NAME}"] = stall
    with pytest.raises(RegistryError, match="no progress"):
        make(store, stall_timeout=0.1).fetch([locked(NAME, DATA, f"{server.url}/{NAME}")])


def test_a_slow_download_is_no_stall(server: Server, store: WheelStore) -> None:
    def slow(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        for start in range(0, len(DATA), len(DATA) // 8):
            handler.wfile.write(DATA[start : start + len(DATA) // 8])
            handler.wfile.flush()
            time.sleep(0.05)

    server.answers[f"/{NAME}"] = slow
    fetcher = make(store, stall_timeout=0.2, operation_timeout=0.15)
    assert fetcher.fetch([locked(NAME, DATA, f"{server.url}/{NAME}")])[0].read_bytes() == DATA


def test_a_server_that_is_busy_is_asked_again(server: Server, store: WheelStore) -> None:
    def busy(handler: http.server.BaseHTTPRequestHandler) -> None:
        if len(server.asked) < 3:
            reply(handler, 503)
        else:
            reply(handler, 200, DATA)

    server.answers[f"/{NAME}"] = busy
    assert make(store).fetch([locked(NAME, DATA, f"{server.url}/{NAME}")])[0].read_bytes() == DATA


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (404, BuildError, "removed from the index"),
        (410, BuildError, "removed from the index"),
        (401, DeniedError, "credentials"),
        (403, DeniedError, "credentials"),
        (400, RegistryError, "answered 400"),
        (503, RegistryError, "503"),
    ],
)
def test_refusals(server: Server, store: WheelStore, status: int, error: type[Exception], words: str) -> None:
    server.answers[f"/{NAME}"] = lambda handler: reply(handler, status)
    with pytest.raises(error, match=words) as caught:
        make(store).fetch([locked(NAME, DATA, f"{server.url}/{NAME}?signature=hidden")])
    assert "hidden" not in str(caught.value)
    assert NAME in str(caught.value)


def test_a_redirect_is_followed_and_the_password_stays_behind(
    make_server: Callable[[], Server], store: WheelStore
) -> None:
    index, files = make_server(), make_server()
    target = files.gives(f"/cdn/{NAME}", DATA)
    index.answers[f"/{NAME}"] = lambda handler: reply(handler, 302, Location=f"{target}?token=abc")
    fetcher = make(store, index.url.replace("://", "://me:s3cretpw@") + "/simple")
    assert fetcher.fetch([locked(NAME, DATA, f"{index.url}/{NAME}")])[0].read_bytes() == DATA
    assert index.asked == [(f"/{NAME}", "Basic bWU6czNjcmV0cHc=")]
    assert files.asked == [(f"/cdn/{NAME}", None)]


def test_a_password_goes_to_its_own_index_alone(make_server: Callable[[], Server], store: WheelStore) -> None:
    index, other = make_server(), make_server()
    login = index.url.replace("://", "://me:s3cretpw@") + "/simple"
    make(store, login).fetch(
        [
            locked(NAME, DATA, other.gives(f"/{NAME}", DATA)),
            locked("a-1-py3-none-any.whl", b"a", index.gives("/a-1-py3-none-any.whl", b"a")),
        ]
    )
    assert other.asked == [(f"/{NAME}", None)]
    assert index.asked[0][1] is not None


def test_of_two_indexes_at_one_place_the_nearer_one_counts(server: Server, store: WheelStore) -> None:
    file = locked(NAME, DATA, server.gives(f"/two/f/{NAME}", DATA))
    at = server.url.replace("://", "://{}@")
    make(store, at.format("a:one") + "/one/simple", at.format("b:two") + "/two/simple").fetch([file])
    assert server.asked[0][1] == "Basic Yjp0d28="


def test_netrc_is_read_and_a_broken_one_is_not(server: Server, store: WheelStore, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw")
    file = locked(NAME, DATA, server.gives(f"/{NAME}", DATA))
    make(store, netrc=netrc).fetch([file])
    assert server.asked[-1][1] == "Basic bWU6cHc="
    netrc.write_text("machine machine machine")
    other = locked("a-1-py3-none-any.whl", b"a", server.gives("/a-1-py3-none-any.whl", b"a"))
    make(store, netrc=netrc).fetch([other])
    assert server.asked[-1][1] is None


def test_no_password_stands_in_an_error(server: Server, store: WheelStore) -> None:
    server.answers[f"/{NAME}"] = lambda handler: reply(handler, 403, b"me:s3cretpw")
    login = server.url.replace("://", "://me:s3cretpw@")
    with pytest.raises(ImageBuilderError) as caught:
        make(store, login).fetch([locked(NAME, DATA, f"{server.url}/{NAME}")])
    assert "s3cretpw" not in f"{caught.value!s}{caught.value!r}"


def test_one_failure_ends_all(server: Server, store: WheelStore) -> None:
    files = [locked(f"p{n}-1-py3-none-any.whl", b"%d" % n, f"{server.url}/p{n}-1-py3-none-any.whl") for n in range(100)]
    with pytest.raises(BuildError, match="answered 404"):
        make(store).fetch(files)
    assert len(server.asked) < 100


def test_a_local_file_is_copied_and_verified(store: WheelStore, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(DATA)
    file = locked(NAME, DATA, place=NAME, location=str(path))
    (copy,) = make(store).fetch([file])
    path.write_bytes(b"edited later")
    assert copy.read_bytes() == DATA
    with pytest.raises(SourceChangedError, match="was locked"):
        make(store).fetch([locked(NAME, b"other", place=NAME, location=str(path))])
    path.unlink()
    with pytest.raises(SourceChangedError, match="cannot be read"):
        make(store).fetch([locked(NAME, b"other", place=NAME, location=str(path))])


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "wheels").write_text("a file")
    file = locked(NAME, DATA, server.gives(f"/{NAME}", DATA))
    with pytest.raises(WorkError, match="cannot be written"):
        make(WheelStore(tmp_path / "wheels")).fetch([file])


def test_nothing_to_fetch(store: WheelStore) -> None:
    assert make(store).fetch([]) == ()
