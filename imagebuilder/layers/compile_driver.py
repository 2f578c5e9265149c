"""Runs in the target's interpreter, whichever version that is: compiles what it is told to, writes what comes out.

Never imported here: `compiler.py` passes its text to `python -c`. Frames are four bytes of length, big-endian, and the
bytes. In comes JSON: a wheel, and of each module where it will lie and where in the wheel it is. Out goes for each the
content of a `.pyc` file, empty where it cannot be compiled; before them a frame that says what is wrong with the wheel,
empty where nothing is.

Each request is a process of its own, a copy of this one: what is marshalled as a reference depends on what else is
alive, so the bytes depend on the request alone, whoever else asked before.
"""

import gc
import importlib.util
import json
import marshal
import os
import struct
import sys
import zlib

_UNCHECKED_HASH = 0b01  # PEP 552: hash-based, and not checked when imported: no time in it, no stat when it is read


def _write(descriptor: int, *frames: bytes) -> None:
    view = memoryview(b"".join(struct.pack(">I", len(frame)) + frame for frame in frames))
    while view:
        view = view[os.write(descriptor, view) :]


def _source(wheel: int, where: "list[int]") -> bytes:
    offset, compressed, size, crc, deflated = where
    data = os.pread(wheel, compressed, offset)
    if deflated:
        data = zlib.decompressobj(-15).decompress(data, size + 1)
    if len(data) != size or zlib.crc32(data) != crc:
        raise ValueError("is not what the wheel's directory says")
    return data


def _compiled(source: bytes, path: str) -> bytes:
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        head = importlib.util.MAGIC_NUMBER + struct.pack("<I", _UNCHECKED_HASH) + importlib.util.source_hash(source)
        return head + marshal.dumps(code)
    except Exception:  # noqa: BLE001 - templates, tests of syntax errors: installers skip what does not compile
        return b""


def _answer(request: bytes) -> "list[bytes]":
    asked = json.loads(request)
    try:
        wheel = os.open(asked["wheel"], os.O_RDONLY)
    except OSError as error:
        return [str(error).encode()]
    answer = [b""]
    for path, *where in asked["modules"]:
        try:
            source = _source(wheel, where)
        except (OSError, ValueError, zlib.error) as error:
            return [f"{path} {error}".encode()]
        answer.append(_compiled(source, path))
    return answer


def _main() -> None:
    source, target = sys.stdin.buffer, sys.stdout.fileno()
    version = ".".join(map(str, sys.version_info[:3]))
    _write(target, importlib.util.MAGIC_NUMBER, version.encode(), (sys.implementation.cache_tag or "").encode())
    sys.setrecursionlimit(4000)
    gc.disable()  # compiling makes no cycles worth looking for, and a request ends with its process
    while True:
        head = source.read(4)
        if len(head) < 4:
            return
        request = source.read(struct.unpack(">I", head)[0])
        child = os.fork()
        if not child:
            code = 1
            try:
                _write(target, *_answer(request))
                code = 0
            finally:
                os._exit(code)
        if os.waitpid(child, 0)[1]:
            sys.exit(1)


if __name__ == "__main__":
    _main()
