"""MessagePack without a dependency: what values need of it, both ways.

Integers of 64 bits, float64, text, bytes, arrays and maps; timestamps and float32 are read. Long lists of one plain
kind are written at one width per list, which any reader understands and which moves them at the speed of `bytes`.
"""

from tasksdk.types.msgpack.decode import unpack
from tasksdk.types.msgpack.encode import pack

__all__ = ["pack", "unpack"]
