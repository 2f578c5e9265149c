"""One line of a `.dockerignore`, as moby/patternmatcher and its `ignorefile` reader define it."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cached_property

from imagebuilder.errors import SourceError

_SPECIAL = re.compile(r"[*?\[\]\\]")
_WILD = re.compile(r"\*\*|\[")


@dataclass(frozen=True)
class Pattern:
    """A pattern in its clean form: no `!`, no leading slash, no `.` or `..` inside; it is relative to the folder."""

    text: str
    negated: bool

    @classmethod
    def parse(cls, line: str, where: str) -> Pattern | None:
        """Parse a line; None for a blank one or a comment, which has its `#` in the first column.

        Raises:
            SourceError: the pattern is malformed; the message names `where`, such as `line 3 of /app/.dockerignore`.
        """
        text = line.strip()
        if not text or line.startswith("#"):
            return None
        # First ignorefile.ReadAll, which cleans what follows a '!'; then patternmatcher.New, which looks for the '!'
        # again, so that `./!a` is `!a`.
        mark, text = ("!", text[1:].strip()) if text.startswith("!") else ("", text)
        if text:
            text = posixpath.normpath(text)
            text = "/" if text.strip("/") == "" else text.lstrip("/")
        text = f"{mark}{text}".strip()
        if not text:
            return None  # `/ /`
        text = posixpath.normpath(text)  # `a/ /`
        negated = text.startswith("!")
        text = text.removeprefix("!")
        if negated and text in ("", "/"):
            raise _malformed(line, where, "nothing stands after the '!'")
        if text.startswith("/"):  # `/` itself, or what moby leaves absolute: neither matches anything
            text = "/"
        pattern = cls(text, negated)
        try:
            pattern.regex  # noqa: B018 - malformed classes and escapes are found while it is rewritten
        except ValueError as error:
            raise _malformed(line, where, str(error)) from None
        return pattern

    @property
    def line(self) -> str:
        """A line that parses to this pattern."""
        start = "./" if self.text[:1].isspace() or self.text.startswith("#") else ""
        return f"{'!' * self.negated}{start}{self.text}"

    @property
    def is_literal(self) -> bool:
        """It names one path, without wildcards."""
        return _SPECIAL.search(self.text) is None

    @property
    def depth(self) -> int | None:
        """How many components a matching path has; None where that varies: a class may match a slash, as in Go."""
        return None if _WILD.search(self.text) else self.text.count("/") + 1

    @property
    def any_depth(self) -> str | None:
        """What follows `**/`, if that is a single component: the pattern then looks at the last component only."""
        rest = self.text[3:]
        return rest if self.text.startswith("**/") and rest and "/" not in rest and "**" not in rest else None

    @cached_property
    def regex(self) -> str:
        """An equivalent regular expression, for `fullmatch` with DOTALL."""
        return _translate(self.text)

    @cached_property
    def _literal_start(self) -> tuple[str, ...]:
        parts = self.text.split("/")
        first_special = next((i for i, part in enumerate(parts) if _SPECIAL.search(part)), len(parts))
        return tuple(parts[:first_special])

    def may_match_below(self, folder: str) -> bool:
        """Could it match something inside `folder`? May say yes wrongly, never no wrongly."""
        parts = folder.split("/")
        if any(mine != theirs for mine, theirs in zip(self._literal_start, parts, strict=False)):
            return False
        return self.depth is None or self.depth > len(parts)


def read_lines(content: bytes) -> list[str]:
    """Split a `.dockerignore`; a byte order mark is dropped, and bytes that are not UTF-8 match no file."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return text.split("\n")


def _malformed(line: str, where: str, why: str) -> SourceError:
    return SourceError(
        f"{line.strip()!r}, {where}, is not an ignore pattern: {why}",
        hint="the syntax is that of .dockerignore; write a backslash before a special character to mean itself",
    )


def _translate(text: str) -> str:
    """Rewrite a pattern as moby's `Pattern.compile` does, its kinds of match included.

    `**` at the start of an otherwise literal pattern is "ends with", at the end of one "starts with"; elsewhere `**`
    or `**/` is "nothing, or anything up to a slash", so `a**b` matches `ab` and `ax/b` but not `axb`. Two points follow
    Go's `filepath.Match`, which the documentation names, rather than the regular expression moby happens to build: a
    wildcard inside `[...]` and a letter after a backslash mean themselves.
    """
    if text.startswith("**") and not _SPECIAL.search(text[2:]):
        rest = text[2:]
        return rf"(?:.*/)?{re.escape(rest[1:])}" if rest.startswith("/") else f".*{re.escape(rest)}"
    out: list[str] = []
    at, end = 0, len(text)
    while at < end:
        char = text[at]
        at += 1
        if char == "*" and text.startswith("*", at):
            at += 1
            if text.startswith("/", at):
                at += 1
            out.append("(?:.*/)?" if at < end else ".*")
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            piece, at = _translate_class(text, at)
            out.append(piece)
        elif char == "\\":
            literal, at = _one(text, at - 1)
            out.append(re.escape(literal))
        else:
            out.append(re.escape(char))
    return "".join(out)


def _translate_class(text: str, at: int) -> tuple[str, int]:
    """Rewrite what follows a `[`: `^`, then one or more characters or ranges, then `]` (Go's `filepath.Match`)."""
    out = ["["]
    if text.startswith("^", at):
        out.append("^")
        at += 1
    while True:
        if len(out) > 1 and out[-1] != "^" and text.startswith("]", at):
            return "".join([*out, "]"]), at + 1
        low, at = _member(text, at)
        high = low
        if text.startswith("-", at):
            high, at = _member(text, at + 1)
        if high < low:
            raise ValueError(f"the range {low}-{high} is empty")
        out.append(f"{re.escape(low)}-{re.escape(high)}")


def _member(text: str, at: int) -> tuple[str, int]:
    if at >= len(text):
        raise ValueError("a '[' has no ']'")
    if text[at] in "-]":
        raise ValueError(f"{text[at]!r} stands inside '[...]' without a backslash")
    return _one(text, at)


def _one(text: str, at: int) -> tuple[str, int]:
    if text[at] == "\\":
        at += 1
    if at >= len(text):
        raise ValueError("nothing follows the last backslash")
    return text[at], at + 1
