"""Reads a Dockerfile as BuildKit's parser does, as far as rendered ones go; written without a look at the renderer.

moby/buildkit, frontend/dockerfile/parser (lines, heredocs, flags) and frontend/dockerfile/shell (words).
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field


@dataclass
class Instruction:
    name: str
    flags: list[str]
    rest: str
    heredocs: list[str] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """What COPY and ENTRYPOINT hold: JSON, where COPY reads each string as a word again."""
        strings = json.loads(self.rest)
        return [word(item) for item in strings] if self.name == "COPY" else strings

    @property
    def pairs(self) -> dict[str, str]:
        return dict(map(word, _split_pair(item)) for item in split_words(self.rest))

    @property
    def mounts(self) -> list[dict[str, str]]:
        found = []
        for flag in self.flags:
            name, _, value = flag.partition("=")
            if name == "--mount":
                (fields,) = csv.reader([value], strict=True)
                found.append({key: word(text) for key, _, text in (item.partition("=") for item in fields)})
        return found


def read(text: str) -> list[list[Instruction]]:  # noqa: C901 - the grammar in one place
    """The stages of a Dockerfile."""
    lines = text.split("\n")
    found: list[Instruction] = []
    while lines:
        line = lines.pop(0).rstrip("\r").strip()
        if not line or line.startswith("#"):
            continue
        while re.search(r"\\[ \t]*\Z", line):
            line = re.sub(r"\\[ \t]*\Z", "", line)
            following = lines.pop(0)
            if not following.lstrip().startswith("#"):
                line += following
        name, _, rest = line.partition(" ")
        assert re.fullmatch(r"[A-Z]+", name), line
        flags, rest = split_flags(rest)
        instruction = Instruction(name, flags, rest.strip())
        if name in {"RUN", "COPY", "ADD"}:
            for opened in re.finditer(r"(?:^|\s)<<-?(['\"]?)([A-Za-z_]+)\1(?=\s|\Z)", _outside_quotes(rest)):
                assert opened[1], "a heredoc without quotes expands variables"
                body = []
                while True:
                    current = lines.pop(0)
                    if current.rstrip("\r") == opened[2]:
                        break
                    body.append(current)
                instruction.heredocs.append("\n".join(body) + "\n")
        found.append(instruction)
    stages: list[list[Instruction]] = []
    for instruction in found:
        if instruction.name == "FROM":
            stages.append([])
        stages[-1].append(instruction)
    return stages


def _outside_quotes(rest: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda found: "_" * len(found[0]), rest)


def split_flags(line: str) -> tuple[list[str], str]:
    flags = []
    line = line.lstrip()
    while line.startswith("--"):
        flag, quote, position = "", "", 0
        while position < len(line):
            char = line[position]
            position += 1
            if char == "\\" and position < len(line):
                flag += line[position]
                position += 1
            elif quote:
                quote, flag = ("", flag) if char == quote else (quote, flag + char)
            elif char in "'\"":
                quote = char
            elif char.isspace():
                break
            else:
                flag += char
        assert flag.isascii()  # the parser reads bytes
        flags.append(flag)
        line = line[position:].lstrip()
    return flags, line


def split_words(line: str) -> list[str]:
    """Words with their quotes and escapes, as ENV and LABEL are split."""
    words, current, quote, position = [], "", "", 0
    while position < len(line):
        char = line[position]
        if char == "\\" and position + 1 < len(line):
            current += line[position : position + 2]
            position += 2
            continue
        if not quote and char.isspace():
            words += [current] if current else []
            current = ""
        else:
            if char in "'\"":
                quote = "" if quote == char else quote or char
            current += char
        position += 1
    assert not quote, line
    return words + ([current] if current else [])


def _split_pair(item: str) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    assert equals, item
    return key, value


def word(text: str) -> str:
    """What a word stands for; a variable that would be expanded is a failure."""
    found, position = "", 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "\\":
            assert position < len(text), text
            found += text[position]
            position += 1
        elif char == "'":
            end = text.index("'", position)
            found += text[position:end]
            position = end + 1
        elif char == '"':
            while text[position] != '"':
                if text[position] == "\\" and text[position + 1] in '"$\\':
                    position += 1
                elif text[position] == "$":
                    raise AssertionError(f"{text!r} expands a variable")
                found += text[position]
                position += 1
            position += 1
        elif char == "$":
            raise AssertionError(f"{text!r} expands a variable")
        else:
            found += char
    return found
