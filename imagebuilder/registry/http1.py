"""HTTP/1.1 message heads and body framing, without any I/O (RFC 9112)."""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD_LIMIT = 65536
# Compiled when first needed, which is seldom.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_STATUS_LINE = r"(?s)HTTP/1\.([01]) ([1-9][0-9]{2})(?: .*)?"
CHUNKED = -1
UNTIL_CLOSE = -2


class ProtocolError(ConnectionError):
    """What arrived is not HTTP/1.1, or ended before it should."""


class Head(NamedTuple):
    """An answer's status and headers: lower-case names, repeated ones joined by commas (RFC 9110 section 5.3)."""

    status: int
    headers: dict[str, str]
    keep_alive: bool


def parse_head(data: bytes) -> Head:
    """Parse a head without its last empty line.

    Raises:
        ProtocolError: it is not HTTP/1.x.
    """
    lines = data.decode("latin-1").split("\r\n")
    status_line = lines[0]
    code = status_line[9:12]
    if (
        status_line[:9] == "HTTP/1.1 "
        and status_line[12:13] == " "
        and code.isdecimal()
        and code.isascii()
        and code >= "100"
    ):
        minor, status = "1", int(code)
    else:
        match = re.fullmatch(_STATUS_LINE, status_line)
        if not match:
            raise ProtocolError(f"the answer is not HTTP/1.1: it begins {status_line[:40]!r}")
        minor, status = match[1], int(match[2])
    headers: dict[str, str] = {}
    name = ""
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and name:  # obs-fold (RFC 9112 section 5.2)
            headers[name] = f"{headers[name]} {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or (not name.replace("-", "").isalnum() and not re.fullmatch(_WORD, name)):
            raise ProtocolError(f"the answer has the broken header line {line[:40]!r}")
        name = name.lower()
        value = value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    connection = headers.get("connection")
    if connection is None:
        keep_alive = minor == "1"
    else:
        options = {option.strip().lower() for option in connection.split(",")}
        keep_alive = "close" not in options and (minor == "1" or "keep-alive" in options)
    if "transfer-encoding" in headers and "content-length" in headers:
        keep_alive = False  # RFC 9112 section 6.1: somebody may have smuggled it
    return Head(status, headers, keep_alive)


def body_length(method: str, head: Head) -> int:
    """How long the body is: bytes, or CHUNKED, or UNTIL_CLOSE (RFC 9112 section 6.3).

    Raises:
        ProtocolError: the headers contradict each other.
    """
    status, headers = head.status, head.headers
    if method == "HEAD" or status in (204, 304) or status < 200:
        return 0
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower().rsplit(",", 1)[-1].strip() != "chunked" or "," in coding:
            raise ProtocolError(f"the answer has the transfer coding {coding[:40]!r}, which was not asked for")
        return CHUNKED
    length = headers.get("content-length")
    if length is None:
        return UNTIL_CLOSE
    if "," in length:  # the same length twice is taken once (RFC 9110 section 8.6)
        lengths = {part.strip() for part in length.split(",")}
        if len(lengths) != 1:
            raise ProtocolError(f"the answer has several lengths: {length[:40]!r}")
        length = lengths.pop()
    if not length.isascii() or not length.isdigit() or len(length) > 18:
        raise ProtocolError(f"the answer has the length {length[:40]!r}")
    return int(length)


def parse_chunk_size(line: bytes) -> int:
    """The size in a chunk's first line; extensions are dropped (RFC 9112 section 7.1).

    Raises:
        ProtocolError: it is not a size.
    """
    text = line.partition(b";")[0].strip(b" \t")
    if not text or len(text) > 15 or text.strip(b"0123456789abcdefABCDEF"):
        raise ProtocolError(f"the answer has the broken chunk size {bytes(line[:40])!r}")
    return int(text, 16)


def request_head(method: str, target: str, host: str, headers: str) -> bytes:
    """A request's head; `headers` are whole lines, each with its CRLF.

    Raises:
        ProtocolError: the target would break the line.
    """
    if " " in target or "\r" in target or "\n" in target:
        raise ProtocolError(f"the URL {target[:40]!r} has spaces or line ends in it")
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode("latin-1")
