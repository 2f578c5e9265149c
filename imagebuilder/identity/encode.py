"""The canonical encoding of values: type-tagged, length-delimited, injective.

Every value is a one-letter tag, a count in decimal, a colon, and its parts:

    n0:               None            s<bytes>:<UTF-8>       str
    b1:0  b1:1        bool            l<items>:<items>       tuple or list, in order
    i<digits>:<n>     int             m<pairs>:<key><value>  mapping, in the order of the encoded keys

A `Value` is the mapping of its fields that differ from their defaults, under its kind: a field added later changes
no identifier of a spec that does not use it.
"""

from __future__ import annotations

from collections.abc import Mapping

from imagebuilder.spec.credential import Credential, Index
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.secret import Secret
from imagebuilder.spec.value import Value


def encode(value: object) -> bytes:  # noqa: PLR0911 - one per type
    """Encode a value.

    Raises:
        TypeError: a type that has no encoding; a defect of this project, never of a spec.
    """
    match value:
        case None:
            return b"n0:"
        case bool():
            return b"b1:1" if value else b"b1:0"
        case int():
            return _tagged(b"i", b"%d" % value)
        case str():
            return _tagged(b"s", value.encode("utf-8", "surrogatepass"))
        case tuple() | list():
            return b"l%d:" % len(value) + b"".join(map(encode, value))
        case Mapping():
            pairs = sorted((encode(key), encode(item)) for key, item in value.items())
            return b"m%d:" % len(pairs) + b"".join(key + item for key, item in pairs)
        case Value():
            return encode(_fields(value))
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical encoding")


def _tagged(tag: bytes, data: bytes) -> bytes:
    return b"%s%d:%s" % (tag, len(data), data)


def _fields(value: Value) -> object:
    match value:
        case Secret():
            # The same step sees the same thing under an explicit and a derived variable; the value is never seen here.
            return {"key": value.key, "group": value.group, "mount": value.mount, "variable": value.variable}
        case Index():
            return value.url
        case Platform():
            return str(value)
        case Credential():
            raise TypeError("a credential never enters an identifier")
        case _:
            return _by_name(value)


def _by_name(value: Value) -> dict[str, object]:
    fields: dict[str, object] = {"kind": getattr(value, "kind", type(value).__name__)}
    for name in value.fields:
        item = getattr(value, name)
        if name in value.where or item == getattr(type(value), name, _REQUIRED):
            continue
        # Which secret is mounted first makes no difference.
        fields[name] = sorted(item, key=encode) if name == "secret_mounts" else item
    return fields


_REQUIRED = object()
