"""Hostile wheels through the whole direct builder: a clear error, nothing kept, nothing pushed.

What exactly is refused is tested beside the reader of wheels (tests/layers/test_hostile.py).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import os
import stat
import struct
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image
from imagebuilder.builders.direct.pinning import Pinner
from imagebuilder.errors import ImageBuilderError
from imagebuilder.locking import Upgrade, Wanted, lock

from .bases import DEBIAN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INFO = "demo-1.0.dist-info"
NAME = "demo-1.0-py3-none-any.whl"
OWN: dict[str, bytes] = {
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
CENTRAL, LOCAL, DESCRIPTOR = b"PK\1\2", b"PK\3\4", b"PK\7\x08"


def write(
    folder: Path,
    files: dict[str, bytes],
    *,
    modes: dict[str, int] | None = None,
    unlisted: tuple[tuple[str, bytes], ...] = (),
    record: Callable[[bytes], bytes] = bytes,
    patch: Callable[[bytearray], None] | None = None,
) -> Path:
    """A wheel with a RECORD that fits; `record` changes it, `patch` changes the whole archive."""
    listed = {"demo.py": b"x = 1\n", **OWN, **files}
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data in listed.items()
    ]
    own = record(f"{''.join(rows)}{INFO}/RECORD,,\n".encode())
    path = folder / NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (*listed.items(), (f"{INFO}/RECORD", own), *unlisted):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    if patch:
        content = bytearray(path.read_bytes())
        patch(content)
        path.write_bytes(content)
    return path


def header(data: bytes, name: bytes, signature: bytes) -> int:
    """Where the header of a member starts: in the directory, or its own."""
    skip = 46 if signature == CENTRAL else 30
    at = data.find(signature)
    while data[at + skip : at + skip + len(name)] != name:
        at = data.find(signature, at + 1)
        assert at > 0
    return at


def both(name: bytes, change: Callable[[bytearray, int, int], None]) -> Callable[[bytearray], None]:
    """Change both headers of a member; the second number is how far the fields lie apart in the two."""

    def patch(data: bytearray) -> None:
        change(data, header(data, name, CENTRAL), 2)
        change(data, header(data, name, LOCAL), 0)

    return patch


def encrypt(data: bytearray, at: int, more: int) -> None:
    data[at + 6 + more] |= 1


def claim(size: int) -> Callable[[bytearray, int, int], None]:
    return lambda data, at, more: struct.pack_into("<L", data, at + 22 + more, size)


def shorten(data: bytearray) -> None:
    struct.pack_into("<L", data, header(data, b"demo.py", LOCAL) + 22, 1)


def overlap(data: bytearray) -> None:
    struct.pack_into("<L", data, header(data, b"b.py", CENTRAL) + 42, header(data, b"demo.py", LOCAL))


def not_text(data: bytearray, at: int, more: int) -> None:
    name = at + (46 if more else 30)
    data[name : name + 2] = b"\xff\xfe"


def huge_zip64(data: bytearray) -> None:
    """Sizes that are said to be in a ZIP64 record, which is not there."""
    struct.pack_into("<L", data, header(data, b"demo.py", CENTRAL) + 24, 0xFFFFFFFF)


def lying_descriptor(data: bytearray) -> None:
    """A flag that says that sizes follow the data, where other bytes do."""
    for signature, more in ((CENTRAL, 2), (LOCAL, 0)):
        data[header(data, b"demo.py", signature) + 6 + more] |= 8


def many(folder: Path) -> Path:
    """More members than any wheel has, without their weight: an end record that counts them."""

    def patch(data: bytearray) -> None:
        end = data.rfind(b"PK\5\6")
        struct.pack_into("<2H", data, end + 8, 0xFFFE, 0xFFFE)

    return write(folder, {}, patch=patch)


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "a path that climbs": lambda folder: write(folder, {"../../etc/cron.d/evil": b"x"}),
    "a data path that climbs": lambda folder: write(folder, {"demo-1.0.data/data/../../../etc/passwd": b"x"}),
    "an absolute path": lambda folder: write(folder, {"/etc/passwd": b"x"}),
    "a path of Windows": lambda folder: write(folder, {"C:/evil.py": b"x"}),
    "a backslash": lambda folder: write(folder, {"a\\..\\evil.py": b"x"}),
    "an entry twice": lambda folder: write(folder, {}, unlisted=(("demo.py", b"x = 2\n"),)),
    "a place twice": lambda folder: write(folder, {"demo-1.0.data/purelib/demo.py": b"x = 2\n"}),
    "a file that is a folder": lambda folder: write(folder, {"demo.py/x.py": b"x"}),
    "a symbolic link": lambda folder: write(folder, {"link": b"/etc"}, modes={"link": stat.S_IFLNK | 0o777}),
    "a device": lambda folder: write(folder, {"null": b""}, modes={"null": stat.S_IFCHR | 0o666}),
    "a FIFO": lambda folder: write(folder, {"pipe": b""}, modes={"pipe": stat.S_IFIFO | 0o666}),
    "a bomb that says so": lambda folder: write(folder, {"big.py": bytes(257 << 20)}),
    "a bomb that does not": lambda folder: write(folder, {"big.py": bytes(8 << 20)}, patch=both(b"big.py", claim(10))),
    "a RECORD with another digest": lambda folder: write(
        folder, {}, record=lambda text: text.replace(b"256=", b"256=A", 1)
    ),
    "a RECORD with another size": lambda folder: write(
        folder, {}, record=lambda text: text.replace(b",6\n", b",7\n", 1)
    ),
    "a RECORD without a file": lambda folder: write(folder, {}, record=lambda text: text.partition(b"\n")[2]),
    "a file beside RECORD": lambda folder: write(folder, {}, unlisted=(("evil.py", b"x"),)),
    "a size that the local header denies": lambda folder: write(folder, {}, patch=shorten),
    "a size that both headers lie about": lambda folder: write(folder, {}, patch=both(b"demo.py", claim(5))),
    "an encrypted member": lambda folder: write(folder, {}, patch=both(b"demo.py", encrypt)),
    "a ZIP64 size that is not there": lambda folder: write(folder, {}, patch=huge_zip64),
    "a data descriptor that is not there": lambda folder: write(folder, {}, patch=lying_descriptor),
    "members that overlap": lambda folder: write(folder, {"b.py": b"x = 1\n"}, patch=overlap),
    "a name that is not UTF-8": lambda folder: write(folder, {}, patch=both(b"demo.py", not_text)),
    "more members than it has": many,
    "metadata of another project": lambda folder: write(folder, {f"{INFO}/METADATA": b"Name: other\nVersion: 1.0\n"}),
    "two dist-info folders": lambda folder: write(folder, {"other-2.0.dist-info/METADATA": b"Name: other\n"}),
    "a script over the interpreter": lambda folder: write(folder, {"demo-1.0.data/scripts/python": b"#!python\n"}),
    "an entry point that is code": lambda folder: write(
        folder, {f"{INFO}/entry_points.txt": b"[console_scripts]\nrun = demo:main; import os\n"}
    ),
    "a cut archive": lambda folder: write(folder, {}, patch=lambda data: data.__delitem__(slice(len(data) - 40, None))),
}


@pytest.fixture
def net(tmp_path: Path) -> Iterator[str]:
    """A folder `net` that is served over HTTP; its URL."""
    folder = tmp_path / "net"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def locked(tmp_path: Path, net: str, wheel: Path) -> Path:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = tmp_path / "pylock.toml"
    lock.write_text(
        'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "demo"\nversion = "1.0"\n'
        f'[[packages.wheels]]\nurl = "{net}/{wheel.name}"\nhashes = {{sha256 = "{digest}"}}\n'
    )
    return lock


def refused(bench: Any, image: Image, builder: Any, match: str) -> None:
    """The build fails, names the wheel, says what to do, and leaves neither a tag, an upload nor a blob."""
    blobs = bench.folder / "cache" / "blobs"
    before = sorted(blobs.rglob("*"))
    bench.registry.seen.clear()
    with pytest.raises(ImageBuilderError, match=match) as caught:
        bench.build(image, builder)
    assert "made to do harm" in (caught.value.hint or "") or "somebody changed the file" in (caught.value.hint or "")
    assert {seen.method for seen in bench.registry.seen} <= {"GET", "HEAD"}
    assert bench.registry.contents.repository("app").tags == {}
    assert bench.buildkit.requests == []
    assert [path for path in blobs.rglob("*") if path.is_file() and path not in before] == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("builder", ["direct", "auto"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_wheel_of_a_lock(bench: Any, tmp_path: Path, net: str, case: str, builder: str) -> None:
    """The lock has its digest: it is what was locked, and still nothing to install."""
    wheel = HOSTILE[case](tmp_path / "net")
    image = Image.from_base(bench.base(DEBIAN)).with_pylock(locked(tmp_path, net, wheel))
    refused(bench, image, getattr(bench, builder)(), f"{NAME} is not a wheel that can be installed|{NAME}")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_wheel_of_a_folder(bench: Any, tmp_path: Path, case: str) -> None:
    """uv reads its metadata first, and may refuse it before we do."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    image = Image.from_base(bench.base(DEBIAN)).with_wheels(HOSTILE[case](folder))
    refused(bench, image, bench.auto(), "demo")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_wheel_is_not_locked(bench: Any, tmp_path: Path, case: str) -> None:
    """A lock says which files a build installs: one of the user's that no build takes does not get into it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    engine = bench.engine()
    image = Image.from_base(bench.base(DEBIAN)).with_wheels(HOSTILE[case](folder))
    pinner = Pinner(bench.folder / "cache", bench.client, dict(os.environ))
    item = engine.resolver.identify([("app", image)])[0]
    with pytest.raises(ImageBuilderError, match="demo") as caught:
        lock(engine, pinner, [Wanted(item, "spec.py", "app")], Upgrade(), bench.events.append)
    assert "made to do harm" in (caught.value.hint or "")


def test_a_wheel_that_was_not_locked(bench: Any, tmp_path: Path, net: str) -> None:
    """The same name, other bytes."""
    lock = locked(tmp_path, net, write(tmp_path / "net", {}))
    write(tmp_path / "net", {"evil.py": b"x"})
    refused(
        bench, Image.from_base(bench.base(DEBIAN)).with_pylock(lock), bench.direct(), "has the SHA-256 .* was locked"
    )


def test_names_that_harm_other_systems_alone_are_kept(bench: Any, tmp_path: Path, net: str) -> None:
    """Linux tells case apart and has no file of the name AUX; an installer there makes these files too."""
    names = ["Demo.py", "DEMO.PY", "aux.py", "CON", "nul.txt", "tr\u00e4ger.py", "end. "]
    wheel = write(tmp_path / "net", dict.fromkeys(names, b"y = 2\n"))
    made = bench.build(Image.from_base(bench.base(DEBIAN)).with_pylock(locked(tmp_path, net, wheel)))
    site = "opt/venv/lib/python3.11/site-packages"
    assert {f"{site}/{name}" for name in [*names, "demo.py"]} <= made.tree.keys()


@pytest.mark.parametrize("wide", [False, True])
def test_honest_data_descriptors_and_zip64_are_taken(bench: Any, tmp_path: Path, net: str, wide: bool) -> None:
    """What streaming archivers write."""
    path = write(tmp_path / "net", {})
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with (tmp_path / "net" / "streamed").open("wb") as target, zipfile.ZipFile(_Pipe(target), "w", 8) as archive:
        for name, data in files.items():
            with archive.open(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), "w", force_zip64=wide) as member:
                member.write(data)
    (tmp_path / "net" / "streamed").replace(path)
    assert DESCRIPTOR in path.read_bytes()
    made = bench.build(Image.from_base(bench.base(DEBIAN)).with_pylock(locked(tmp_path, net, path)))
    assert made.content["opt/venv/lib/python3.11/site-packages/demo.py"] == b"x = 1\n"


class _Pipe:
    """A file that cannot seek, so that sizes come after the data."""

    def __init__(self, target: Any) -> None:
        self.write, self.flush = target.write, target.flush
