"""Runs in the target's interpreter, whichever version that is: compiles what comes in, writes what comes out.

Never imported here: `compiler.py` passes its text to `python -c`. Frames are four bytes of length, big-endian, and the
bytes: in come a path and a source, out goes the content of a `.pyc` file, empty where the source cannot be compiled.
"""

import importlib.util
import marshal
import struct
import sys

_UNCHECKED_HASH = 0b01  # PEP 552: hash-based, and not checked when imported: no time in it, no stat when it is read


def _main() -> None:
    source, target = sys.stdin.buffer, sys.stdout.buffer

    def read() -> "bytes | None":
        head = source.read(4)
        return source.read(struct.unpack(">I", head)[0]) if len(head) == 4 else None

    def write(data: bytes) -> None:
        target.write(struct.pack(">I", len(data)) + data)
        target.flush()

    write(importlib.util.MAGIC_NUMBER)
    write(".".join(map(str, sys.version_info[:3])).encode())
    write((sys.implementation.cache_tag or "").encode())
    sys.setrecursionlimit(4000)
    while True:
        path, code = read(), read()
        if path is None or code is None:
            return
        try:
            compiled = compile(code, path.decode(), "exec", dont_inherit=True)
            header = importlib.util.MAGIC_NUMBER + struct.pack("<I", _UNCHECKED_HASH) + importlib.util.source_hash(code)
            result = header + marshal.dumps(compiled)
        except Exception:  # noqa: BLE001 - templates, tests of syntax errors: installers skip what does not compile
            result = b""
        write(result)


if __name__ == "__main__":
    _main()
