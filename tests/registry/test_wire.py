"""Decisions and formats, without any network."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.errors import ConfigError
from imagebuilder.registry import HostSettings, RegistrySettings, retry
from imagebuilder.registry.challenge import Challenge, choose, parse_challenges, realm_problem
from imagebuilder.registry.http1 import CHUNKED, UNTIL_CLOSE, ProtocolError, body_length, parse_chunk_size, parse_head
from imagebuilder.registry.origin import Location, Origin
from imagebuilder.registry.proxy import Proxies
from imagebuilder.registry.redirect import refusal
from imagebuilder.registry.scope import merge, pull, push
from imagebuilder.registry.token import parse_token


def head(*lines):
    return parse_head("\r\n".join(lines).encode("latin-1"))


def test_heads():
    parsed = head("HTTP/1.1 200 OK", "Content-Length: 5", "X-A:  b \t", "x-a: c", "Folded: one", "  two")
    assert parsed.status == 200
    assert parsed.headers == {"content-length": "5", "x-a": "b, c", "folded": "one two"}
    assert parsed.keep_alive
    assert head("HTTP/1.1 204").status == 204
    assert head("HTTP/1.1 404 ").status == 404
    assert not head("HTTP/1.0 200 OK").keep_alive
    assert head("HTTP/1.0 200 OK", "Connection: Keep-Alive").keep_alive
    assert not head("HTTP/1.1 200 OK", "Connection: x, Close").keep_alive
    assert not head("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked").keep_alive


@pytest.mark.parametrize(
    "lines",
    [
        ["HTTP/2 200"],
        ["HTTP/1.1 20 OK"],
        ["HTTP/1.1 099 No"],
        [""],
        ["HTTP/1.1 200 OK", "no colon"],
        ["HTTP/1.1 200 OK", ": x"],
        ["HTTP/1.1 200 OK", "A B: x"],
        ["HTTP/1.1 200 OK", "A : x"],
        ["HTTP/1.1 200 OK", " folded: x"],
        ["HTTP/1.1 ²00 OK"],
    ],
)
def test_broken_heads(lines):
    with pytest.raises(ProtocolError):
        head(*lines)


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(data):
    try:
        parsed = parse_head(data)
        body_length("GET", parsed)
    except ProtocolError:
        return
    assert 100 <= parsed.status <= 999


def length(*lines, status=200, method="GET"):
    return body_length(method, head(f"HTTP/1.1 {status} X", *lines))


def test_lengths():
    assert length("Content-Length: 7") == 7
    assert length("Content-Length: 7, 7") == 7
    assert length("Content-Length: 7", method="HEAD") == 0
    assert length("Content-Length: 7", status=204) == length("Content-Length: 7", status=304) == 0
    assert length("Transfer-Encoding: Chunked") == CHUNKED
    assert length() == UNTIL_CLOSE
    for broken in (
        "Content-Length: 7, 8",
        "Content-Length: -7",
        "Content-Length: +7",
        "Content-Length: 0x7",
        "Content-Length: ",
        "Content-Length: ٣",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip",
    ):
        with pytest.raises(ProtocolError):
            body_length("GET", parse_head(f"HTTP/1.1 200 X\r\n{broken}".encode()))


def test_chunk_sizes():
    assert parse_chunk_size(b"1aF ; ext=1") == 0x1AF
    assert parse_chunk_size(b"0") == 0
    for broken in (b"", b"-1", b"0x1", b"1_0", b"g", b"1" * 16):
        with pytest.raises(ProtocolError):
            parse_chunk_size(broken)


BASE = Location.parse("https://r.io:5000/v2/a/blobs/uploads/?x=1")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("https://s.io/a%2fb?c=%2F", ("https://s.io", "/a%2fb?c=%2F")),
        ("//s.io/x", ("https://s.io", "/x")),
        ("/v2/x?state=%2f=", ("https://r.io:5000", "/v2/x?state=%2f=")),
        ("uuid?s=1", ("https://r.io:5000", "/v2/a/blobs/uploads/uuid?s=1")),
        ("?s=1", ("https://r.io:5000", "/v2/a/blobs/uploads/?s=1")),
        ("/x?next=http://y/z", ("https://r.io:5000", "/x?next=http://y/z")),
        ("HTTPS://S.io:443?q#frag", ("https://s.io", "/?q")),
        ("http://[::1]:5000/x", ("http://[::1]:5000", "/x")),
    ],
)
def test_locations(reference, expected):
    found = BASE.join(reference)
    assert (str(found.origin), found.target) == expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "https://",
        "https:///x",
        "https://u:p@x/",
        "https://x/a b",
        "https://x/\r\nHost: y",
        "https://x:0/",
        "https://x:p/",
    ],
)
def test_broken_locations(url):
    with pytest.raises(ValueError, match=r"."):
        Location.parse(url)


@given(st.text(string.ascii_letters + string.digits + "%/?&=+~!*'();:@,-._", max_size=60))
def test_targets_are_kept_byte_for_byte(target):
    assert Location.parse(f"https://x.io/{target}").target == f"/{target}"


def test_queries_are_not_shown():
    assert "secret" not in str(Location.parse("https://x.io/a?sig=secret"))


def test_redirects():
    https, http = Origin("https", "a.io", 443), Origin("http", "a.io", 80)
    assert refusal(https, https) is None
    assert refusal(http, https) is None
    assert "plain http" in refusal(https, http)
    assert refusal(https, Origin("https", "169.254.1.2", 443))
    assert refusal(Origin("http", "169.254.1.2", 80), Origin("http", "169.254.1.2", 80)) is None


def test_origins_of_registries():
    settings = RegistrySettings(
        hosts={"plain.io": HostSettings(plain_http=True), "localhost:7000": HostSettings(plain_http=False)}
    )
    expected = {
        "docker.io": "https://registry-1.docker.io",
        "ghcr.io": "https://ghcr.io",
        "localhost:5000": "http://localhost:5000",
        "127.8.9.1": "http://127.8.9.1",
        "[::1]:5000": "http://[::1]:5000",
        "127.evil.io": "https://127.evil.io",
        "localhost.evil.io": "https://localhost.evil.io",
        "10.0.0.1:5000": "https://10.0.0.1:5000",
        "plain.io": "http://plain.io",
        "localhost:7000": "https://localhost:7000",
    }
    assert {registry: str(settings.origin(registry)) for registry in expected} == expected


PARAMETERS = st.dictionaries(
    st.text(string.ascii_lowercase, min_size=1, max_size=8),
    st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=12),
    max_size=4,
)


@given(st.lists(st.tuples(st.sampled_from(["Bearer", "Basic", "Negotiate", "X-Y"]), PARAMETERS), max_size=4))
def test_challenges_come_back_as_they_were_written(listed):
    texts = []
    for scheme, parameters in listed:
        quoted = ", ".join(
            '{}="{}"'.format(name, value.replace("\\", "\\\\").replace('"', '\\"'))
            for name, value in parameters.items()
        )
        texts.append(f"{scheme} {quoted}".strip())
    parsed = parse_challenges(", ".join(texts))
    assert [(found.scheme, dict(found.parameters)) for found in parsed] == [
        (scheme.lower(), parameters) for scheme, parameters in listed
    ]


@given(st.text(max_size=80))
def test_any_challenge_parses(text):
    parse_challenges(text)


def test_challenges():
    header = (
        'Negotiate YII==, Basic, Bearer realm="https://a.io/t?x=1,2" , service=a.io,scope="repository:a/b:pull,push"'
    )
    parsed = parse_challenges(header)
    assert [found.scheme for found in parsed] == ["negotiate", "basic", "bearer"]
    assert parsed[2].parameters == {
        "realm": "https://a.io/t?x=1,2",
        "service": "a.io",
        "scope": "repository:a/b:pull,push",
    }
    assert choose(parsed) is parsed[2]
    assert choose((Challenge("bearer", {"realm": "http://a.io/t"}), Challenge("basic"))).scheme == "basic"
    assert choose((Challenge("digest"),)) is None


@pytest.mark.parametrize(
    ("realm", "fine"),
    [
        ("https://a.io/t", True),
        ("http://a.io/t", False),
        ("http://localhost:5001/t", True),
        ("http://127.0.0.1/t", True),
        ("", False),
        ("/token", False),
        ("https://169.254.169.254/t", False),
    ],
)
def test_realms(realm, fine):
    assert (realm_problem(realm) is None) is fine


def test_scopes():
    assert push("a/b") == ("repository:a/b:pull,push",)
    assert push("a/b", "c") == ("repository:a/b:pull,push", "repository:c:pull")
    assert merge(pull("a"), ("repository:a:push repository:b:pull",)) == ("repository:a:pull,push", "repository:b:pull")
    assert merge(("repository:host:5000/x:pull",)) == ("repository:host:5000/x:pull",)
    assert merge(("",), ("broken",)) == ()


def test_tokens():
    assert parse_token(b'{"token":"a","expires_in":300}', 10).refresh_at == 305
    assert parse_token(b'{"access_token":"a","expires_in":5}', 10).refresh_at == 65
    assert parse_token(b'{"access_token":"a"}', 10).refresh_at == 65
    assert "secret" not in repr(parse_token(b'{"token":"secret"}', 0))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("1.5", 1.5),
        ("880µs", 880e-6),
        ("2h45m", 9900),
        ("1.5h", 5400),
        ("300ms", 0.3),
        (".5s", 0.5),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("5 minutes", None),
        ("Wed, 15 Nov 2023 00:00:10 GMT", 10),
        ("Wed, 15 Nov 2000 00:00:10 GMT", 0),
        ("1" * 400, float("inf")),
    ],
)
def test_retry_after(value, seconds):
    found = retry.parse_retry_after(value, 1_700_006_400.0)
    assert found == (pytest.approx(seconds) if seconds is not None else None)


@given(st.text(max_size=30))
def test_any_retry_after_parses(value):
    found = retry.parse_retry_after(value, 0)
    assert found is None or found >= 0


def test_decisions():
    assert retry.decide(attempt=1, attempts=6, left=60) == retry.Wait(0.25)
    assert retry.decide(attempt=3, attempts=6, left=60) == retry.Wait(1.0)
    assert isinstance(retry.decide(attempt=6, attempts=6, left=60), retry.GiveUp)
    assert isinstance(retry.decide(attempt=3, attempts=6, left=0.5), retry.GiveUp)
    assert retry.decide(attempt=1, attempts=6, left=60, retry_after=59, status=429) == retry.Wait(59, shared=True)
    assert "6h" in retry.decide(attempt=1, attempts=6, left=60, retry_after=21600, status=429).reason


def test_proxies():
    environ = {
        "HTTPS_PROXY": "http://u%40x:p%3Aq@proxy.io:3128/",
        "http_proxy": "proxy.io",
        "NO_PROXY": "a.io,.b.io, *.c.io,10.0.0.0/8,d.io:5000,[fd00::1]:443,fd00::2",
    }
    proxies = Proxies.from_environ(environ)
    direct = [
        "https://a.io",
        "https://x.a.io",
        "https://y.b.io",
        "https://y.c.io",
        "https://10.1.2.3",
        "https://d.io:5000",
        "https://localhost:5000",
        "http://127.0.0.1:5000",
        "https://[::1]",
        "https://[fd00::1]",
        "https://[fd00::2]",
    ]
    for url in direct:
        assert proxies.for_origin(Location.parse(url).origin) is None, url
    for url in ("https://na.io", "https://d.io", "https://11.1.2.3", "https://[fd00::3]"):
        assert proxies.for_origin(Location.parse(url).origin).origin == Origin("http", "proxy.io", 3128), url
    assert proxies.for_origin(Location.parse("http://e.io").origin).origin.port == 80
    assert "p:q" not in repr(proxies)
    assert proxies.https.authorization == "Basic dUB4OnA6cQ=="
    assert (
        Proxies.from_environ({"NO_PROXY": "*", "HTTPS_PROXY": "http://p"}).for_origin(Origin("https", "a.io", 443))
        is None
    )


@pytest.mark.parametrize("value", ["socks5://u:hunter2@p:1", "https://p", "http://u:hunter2@p:x", "http://"])
def test_broken_proxies(value):
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        Proxies.from_environ({"HTTPS_PROXY": value})
    assert "hunter2" not in str(caught.value)
