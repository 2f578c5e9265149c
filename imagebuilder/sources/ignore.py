"""Which files of a folder are left out: one list of patterns, of which the last that matches decides."""

# Paths are strings in this folder, and abspath() is wanted: resolve() would follow links.
# ruff: noqa: PTH100, PTH118

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from imagebuilder.sources.content import read_small
from imagebuilder.sources.pattern import Pattern, read_lines

DOCKERIGNORE = ".dockerignore"
VENV_MARKER = "pyvenv.cfg"

# What no image wants, at any depth. They stand first in the list, so a later `!**/.env` brings one back. Besides these,
# a folder below the root that holds a `pyvenv.cfg` is a virtual environment, whatever its name.
DEFAULT_PATTERNS = (
    # version control
    "**/.git",
    "**/.hg",
    "**/.svn",
    # secrets
    "**/.env",
    # virtual environments: this machine's interpreter, not the image's
    "**/.venv",
    "**/.tox",
    "**/.nox",
    # what tools leave behind
    "**/__pycache__",
    "**/*.pyc",
    "**/*.pyo",
    "**/.mypy_cache",
    "**/.ruff_cache",
    "**/.pytest_cache",
    "**/.hypothesis",
    "**/.ipynb_checkpoints",
    "**/.DS_Store",
)

Check: TypeAlias = Callable[[str], object]
_IGNORE_FILE_LIMIT = 1 << 20


class IgnoreRules:
    """A list of rules, asked about one path after the other from the root down.

    A rule is its number in the list. A path's verdict is the number of the last rule that matches it or a folder above
    it, -1 for none; `excludes[verdict]` tells what that means. This is moby's `MatchesOrParentMatches`.
    """

    def __init__(self, patterns: Sequence[Pattern], *, defaults: bool = True) -> None:
        built_in = [Pattern(text, negated=False) for text in DEFAULT_PATTERNS] if defaults else []
        self.virtual_environment = len(built_in) if defaults else -1
        # The empty pattern matches nothing: it stands for "the folder holds a pyvenv.cfg".
        marker = [Pattern("", negated=False)] if defaults else []
        self._rules = (*built_in, *marker, *patterns)
        self.excludes = (*(not rule.negated for rule in self._rules), False)
        self._names: dict[str, int] = {}
        self._literals: dict[str, dict[str, int]] = {}
        self._suffixes: dict[str, int] = {}
        self._others: list[tuple[int, Pattern]] = []
        for number, rule in enumerate(self._rules):
            self._sort_in(number, rule)
        self._negated = [(number, rule) for number, rule in enumerate(self._rules) if rule.negated]
        self._watched = frozenset(self._names)
        self._endings = tuple(f"{suffix}\0" for suffix in self._suffixes)
        self._checks: dict[int, Check | None] = {}
        self._compiled: dict[int, Check] = {}

    def _sort_in(self, number: int, rule: Pattern) -> None:
        """Put a rule where it costs least: most need no regular expression."""
        last = rule.any_depth
        if rule.is_literal:
            folder, _, name = rule.text.rpartition("/")
            self._literals.setdefault(folder, {})[name] = number
        elif last is not None and not re.search(r"[*?\[\]\\]", last):
            self._names[last] = number
        elif last is not None and re.fullmatch(r"\*[^*?\[\]\\]+", last):
            self._suffixes[last[1:]] = number
        else:
            self._others.append((number, rule))

    def concerns(self, folder: str, names: Sequence[str], depth: int) -> bool:
        """Could a rule match one of the names in this folder? Most folders hold nothing that any rule knows."""
        here = self._literals.get(folder)
        if not self._watched.isdisjoint(names) or (here and not here.keys().isdisjoint(names)):
            return True
        joined = "\0".join((*names, ""))
        if any(ending in joined for ending in self._endings):
            return True
        check = self._check(depth)
        return check is not None and any(check(f"{folder}/{name}" if folder else name) for name in names)

    def _check(self, depth: int) -> Check | None:
        """A test whether some rule with wildcards matches a path of `depth` components, if there are such rules."""
        if depth not in self._checks:
            rules = [rule.regex for _, rule in self._others if rule.depth in (None, depth)]
            joined = "|".join(f"(?:{regex})" for regex in rules)
            self._checks[depth] = re.compile(joined, re.DOTALL).fullmatch if rules else None
        return self._checks[depth]

    def last_match(self, path: str, depth: int) -> int:
        """The number of the last rule that matches this very path, -1 for none."""
        folder, _, name = path.rpartition("/")
        best = max(self._names.get(name, -1), self._literals.get(folder, {}).get(name, -1))
        for suffix, number in self._suffixes.items():
            if number > best and name.endswith(suffix):
                best = number
        for number, rule in reversed(self._others):
            if number <= best:
                break
            if rule.depth in (None, depth) and self._matches(number, rule, path):
                return number
        return best

    def _matches(self, number: int, rule: Pattern, path: str) -> bool:
        if number not in self._compiled:
            self._compiled[number] = re.compile(rule.regex, re.DOTALL).fullmatch
        return self._compiled[number](path) is not None

    def may_bring_back(self, folder: str, verdict: int) -> bool:
        """Could a rule after `verdict` re-include something inside an excluded folder?"""
        return any(number > verdict and rule.may_match_below(folder) for number, rule in self._negated)

    def excluded(self, path: str) -> bool:
        """The whole question for one path, parents included; the walk asks piecewise."""
        parts = path.split("/")
        verdict = max(self.last_match("/".join(parts[:depth]), depth) for depth in range(1, len(parts) + 1))
        return self.excludes[verdict]


def rules_for(
    root: str, patterns: Sequence[str] = (), *, defaults: bool = True, dockerignore: bool = True
) -> IgnoreRules:
    """Collect the rules of a folder: the built-in ones, its `.dockerignore`, then `patterns`."""
    found: list[Pattern] = []
    if dockerignore:
        found += _read(os.path.join(root, DOCKERIGNORE), missing_ok=True)
    for line in patterns:
        if pattern := Pattern.parse(line, "an ignore= pattern of the source"):
            found.append(pattern)
    return IgnoreRules(found, defaults=defaults)


def read_ignore_file(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The patterns of a `.dockerignore` elsewhere, checked, in the form `take_snapshot` takes.

    Raises:
        SourceError: the file cannot be read, or one of its lines is malformed.
    """
    return tuple(rule.line for rule in _read(os.path.abspath(path), missing_ok=False))


def _read(path: str, *, missing_ok: bool) -> list[Pattern]:
    content = read_small(path, _IGNORE_FILE_LIMIT, missing_ok=missing_ok)
    lines = enumerate(read_lines(content), 1) if content else ()
    return [rule for number, line in lines if (rule := Pattern.parse(line, f"line {number} of {path}"))]
