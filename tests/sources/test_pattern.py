"""`.dockerignore` lines as moby/patternmatcher reads them; its own test cases, and an independent matcher."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagebuilder.errors import SourceError
from imagebuilder.sources.ignore import IgnoreRules
from imagebuilder.sources.pattern import Pattern, read_lines


def pattern(line: str) -> Pattern:
    parsed = Pattern.parse(line, "line 1 of /x/.dockerignore")
    assert parsed is not None
    return parsed


def matches(line: str, path: str) -> bool:
    return re.compile(pattern(line).regex, re.DOTALL).fullmatch(path) is not None


def excluded(path: str, *lines: str) -> bool:
    parsed = (Pattern.parse(line, "a test") for line in lines)
    return IgnoreRules([rule for rule in parsed if rule], defaults=False).excluded(path)


# --- the reader ---


def test_the_reader_normalises_as_moby_does() -> None:
    content = b"test1\n/test2\n/a/file/here\n\nlastfile\n# this is a comment\n! /inverted/abs/path\n"
    parsed = [rule for line in read_lines(content) if (rule := Pattern.parse(line, "x"))]
    assert [("!" * rule.negated) + rule.text for rule in parsed] == [
        "test1",
        "test2",
        "a/file/here",
        "lastfile",
        "!inverted/abs/path",
    ]


@pytest.mark.parametrize("line", ["", "   ", "\t", "# comment", "#", "\r"])
def test_blank_lines_and_comments_say_nothing(line: str) -> None:
    assert Pattern.parse(line, "x") is None


def test_a_comment_starts_in_the_first_column() -> None:
    assert pattern(" # no comment").text == "# no comment"


def test_a_byte_order_mark_is_dropped() -> None:
    assert read_lines(b"\xef\xbb\xbf#comment\r\na") == ["#comment\r", "a"]


def test_lines_end_at_line_feeds_only() -> None:
    assert read_lines("a\x0bb\u2028c\nd\n".encode()) == ["a\x0bb\u2028c", "d", ""]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("  docs  ", "docs"),
        ("docs/", "docs"),
        ("/docs", "docs"),
        ("//docs", "docs"),
        ("./docs", "docs"),
        ("a//b", "a/b"),
        ("a/./b", "a/b"),
        ("a/../b", "b"),
        ("../a", "../a"),
        ("/../a", "a"),
        ("docs\r", "docs"),
        (".", "."),
        ("/", "/"),
    ],
)
def test_paths_are_cleaned(line: str, text: str) -> None:
    assert pattern(line).text == text


@pytest.mark.parametrize(
    ("line", "text"), [("./!a", "a"), ("!!a", "!a"), ("!./ a", " a"), ("!a /", "a"), ("./ a", "a"), ("./ /a", "/")]
)
def test_an_exclamation_mark_is_looked_for_twice(line: str, text: str) -> None:
    assert pattern(line) == Pattern(text, negated="!" in line)


@pytest.mark.parametrize("line", ["!", "! ", "!/", "!//", "./!"])
def test_a_lone_exclamation_mark_is_an_error(line: str) -> None:
    with pytest.raises(SourceError, match=r"line 1 of /x/\.dockerignore"):
        pattern(line)


@pytest.mark.parametrize(
    "line",
    [
        "[",
        "[]",
        "[]a]",
        "[-]",
        "[x-]",
        "[-x]",
        "\\",
        "[a-b-c]",
        "[^",
        "[^bc",
        "a[",
        "a\\",
        "[\\",
        "[a-",
        "[z-a]",
        "**/[",
    ],
)
def test_a_malformed_pattern_is_an_error(line: str) -> None:
    with pytest.raises(SourceError, match=r"line 1 of /x/\.dockerignore, is not an ignore pattern"):
        pattern(line)


# --- one pattern against one path (moby/patternmatcher, TestMatches and TestMatch) ---


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("**", "file"),
        ("**", "dir/file"),
        ("**/", "file"),
        ("**/", "dir/file"),
        ("**/**", "dir/file"),
        ("dir/**", "dir/file"),
        ("dir/**", "dir/dir2/file"),
        ("**/dir", "dir"),
        ("**/dir2/*", "dir/dir2/file"),
        ("**/dir2/**", "dir/dir2/dir3/file"),
        ("**file", "file"),
        ("**file", "dir/file"),
        ("**file", "dir/afile"),
        ("**/file", "dir/file"),
        ("**/file", "dir/dir/file"),
        ("**/file*", "dir/dir/file.txt"),
        ("**/file*txt", "dir/dir/file.txt"),
        ("**/file*.txt*", "dir/dir/file.txt"),
        ("**/**/*.txt", "dir/dir/file.txt"),
        ("**/*.txt", "file.txt"),
        ("**/**/*.txt", "file.txt"),
        ("a**/*.txt", "a/file.txt"),
        ("a**/*.txt", "a/dir/dir/file.txt"),
        ("a/*.txt", "a/file.txt"),
        ("a/*.txt**", "a/file.txt"),
        ("a[b-d]e", "ace"),
        ("a[^b-d]e", "aze"),
        (".*", ".foo"),
        ("abc.def", "abc.def"),
        ("abc?def", "abcZdef"),
        ("**/foo/bar", "foo/bar"),
        ("**/foo/bar", "dir/dir2/foo/bar"),
        ("abc/**", "abc/def/ghi"),
        ("**/.foo", ".foo"),
        ("a(b)c/def", "a(b)c/def"),
        ("a.|)$(}+{bc", "a.|)$(}+{bc"),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl"),
        ("a\\*b", "a*b"),
        ("a\\\\", "a\\"),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f"),
        ("a*b?c*x", "abxbbxdbxebxczzx"),
        ("a?b", "a☺b"),
        ("a[^a]b", "a☺b"),
        ("[a-ζ]*", "\u03b1"),
        ("[\\]a]", "]"),
        ("[\\-]", "-"),
        ("[x\\-]", "-"),
        ("[\\-x]", "x"),
        ("*x", "xxx"),
        ("[!a]", "!"),
        ("a[^b]c", "a/c"),
    ],
)
def test_it_matches(line: str, path: str) -> None:
    assert matches(line, path)
    assert excluded(path, line)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("**/**/*.txt2", "dir/dir/file.txt"),
        ("a/*.txt", "a/dir/file.txt"),
        ("a[b-d]e", "ae"),
        ("a[b-d]e", "aae"),
        (".*", "foo"),
        ("abc.def", "abcdef"),
        ("abc.def", "abcZdef"),
        ("abc?def", "abcdef"),
        ("abc/**", "abc"),
        ("**/.foo", "bar.foo"),
        ("a(b)c/def", "a(b)c/xyz"),
        ("a*/b", "a/c/b"),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f"),
        ("ab[^b-d]", "abc"),
        ("a\\*b", "ab"),
        ("a???b", "a☺b"),
        ("*[a-ζ]", "A"),
        ("a?b", "a/b"),
        ("a*b", "a/b"),
        ("[x\\-]", "z"),
        ("README.md", "readme.md"),
        ("a**b", "axb"),
        ("docs", "src/docs"),
        ("[!a]", "b"),
    ],
)
def test_it_does_not_match(line: str, path: str) -> None:
    assert not matches(line, path)
    assert not excluded(path, line)


# --- an independent matcher: no regular expressions, a set of the places where a match may end ---


class MalformedError(Exception):
    pass


def _reference_class(text: str, at: int) -> tuple[list[tuple[str, str]], bool, int]:
    """Go's `filepath.Match`, after the bracket."""
    negated = text[at : at + 1] == "^"
    at += negated
    ranges: list[tuple[str, str]] = []

    def one(at: int) -> tuple[str, int]:
        if at >= len(text) or text[at] in "-]":
            raise MalformedError
        if text[at] == "\\":
            at += 1
        if at + 1 >= len(text):  # something must follow: at least the closing bracket
            raise MalformedError
        return text[at], at + 1

    while not (ranges and text[at] == "]"):
        low, at = one(at)
        high = low
        if text[at] == "-":
            high, at = one(at + 1)
        if low > high:
            raise MalformedError
        ranges.append((low, high))
    return ranges, negated, at + 1


def reference_tokens(text: str) -> list[tuple[str, object]]:
    tokens: list[tuple[str, object]] = []
    at = 0
    while at < len(text):
        if text.startswith("**", at):
            at += 3 if text.startswith("**/", at) else 2
            tokens.append(("all" if at >= len(text) else "folders", None))
        elif text[at] == "*":
            tokens.append(("some", None))
            at += 1
        elif text[at] == "?":
            tokens.append(("any", None))
            at += 1
        elif text[at] == "[":
            ranges, negated, at = _reference_class(text, at + 1)
            tokens.append(("class", (ranges, negated)))
        elif text[at] == "\\":
            if at + 1 == len(text):
                raise MalformedError
            tokens.append(("char", text[at + 1]))
            at += 2
        else:
            tokens.append(("char", text[at]))
            at += 1
    return tokens


def reference_match(text: str, path: str) -> bool:
    tokens = reference_tokens(text)
    if text.startswith("**") and not set(text[2:]) & set("*?[]\\"):
        return path.endswith(text[2:]) or (text[2:3] == "/" and path == text[3:])
    places = {0}
    for kind, detail in tokens:
        places = {after for place in places for after in reference_step(kind, detail, path, place)}
    return len(path) in places


def reference_step(kind: str, detail: object, path: str, place: int) -> set[int]:
    rest = path[place:]
    if kind == "all":
        return set(range(place, len(path) + 1))
    if kind == "folders":
        return {place, *(place + i + 1 for i, char in enumerate(rest) if char == "/")}
    if kind == "some":
        return set(range(place, place + len(rest.split("/")[0]) + 1))
    if not rest:
        return set()
    if kind == "any":
        hit = rest[0] != "/"
    elif kind == "class":
        ranges, negated = detail  # type: ignore[misc]
        hit = any(low <= rest[0] <= high for low, high in ranges) != negated
    else:
        hit = rest[0] == detail
    return {place + 1} if hit else set()


def reference_excluded(rules: list[tuple[str, bool]], path: str) -> bool:
    """The documentation's words: the last line that matches the path, or a folder above it, decides."""
    parts = path.split("/")
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    verdict = False
    for text, negated in rules:
        if any(reference_match(text, place) for place in above):
            verdict = not negated
    return verdict


TEXTS = st.text(alphabet="aab.*/?[]^-\\", min_size=1, max_size=8)
PATHS = st.lists(st.text(alphabet="ab.-*]", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(TEXTS, PATHS)
@example("**a", "b/ba")
@example("a**b", "a/b")
@example("[^a]", "/")
def test_one_pattern_is_as_the_reference_says(line: str, path: str) -> None:
    try:
        parsed = Pattern.parse(line, "a test")
    except SourceError:
        parsed = None
        with pytest.raises(MalformedError):
            reference_tokens(_cleaned(line))
    if parsed is not None:
        assert (re.compile(parsed.regex, re.DOTALL).fullmatch(path) is not None) == reference_match(parsed.text, path)


def _cleaned(line: str) -> str:
    parts: list[str] = []
    for part in line.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", ".") and not (part == ".." and line.startswith("/")):
            parts.append(part)
    return "/".join(parts)


LINES = st.lists(st.tuples(st.sampled_from(["", "!"]), TEXTS), max_size=6)


@given(LINES, PATHS)
@example([("", "a"), ("!", "a/b"), ("", "a*")], "a/b/a")
def test_a_list_of_patterns_is_as_the_reference_says(lines: list[tuple[str, str]], path: str) -> None:
    try:
        rules = [rule for mark, text in lines if (rule := Pattern.parse(mark + text, "a test"))]
    except SourceError:
        return
    expected = reference_excluded([(rule.text, rule.negated) for rule in rules], path)
    assert IgnoreRules(rules, defaults=False).excluded(path) == expected


@given(TEXTS, PATHS, st.lists(st.text(alphabet="ab.", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join))
def test_a_pattern_that_matches_below_a_folder_says_it_may(line: str, folder: str, rest: str) -> None:
    try:
        parsed = Pattern.parse(line, "a test")
    except SourceError:
        return
    if parsed and re.compile(parsed.regex, re.DOTALL).fullmatch(f"{folder}/{rest}"):
        assert parsed.may_match_below(folder)
