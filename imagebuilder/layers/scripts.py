"""The commands in `bin/`: those generated from entry points, and those whose first line names the interpreter."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING, Final

from imagebuilder.layers.zip_directory import BadZipError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.layers.target import InstallTarget

# PyPA "Entry points specification"; the name of a script is also the name of a file.
_NAME = re.compile(r"[^\s=\[\]/\\\0-\x1f\x7f][^=\[\]/\\\0-\x1f\x7f]*\Z")
_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*:\s*(?P<attribute>[\w.]+)\s*(?:\[.*\]\s*)?\Z")
_VERSIONED_PIP = re.compile(r"pip3\.[0-9]+\Z")
_GROUPS: Final = ("console_scripts", "gui_scripts")
_LONGEST_SHEBANG: Final = 127  # Linux, BINPRM_BUF_SIZE before 5.1, less the line's end

# As uv writes it.
_SCRIPT = """\
{shebang}
# -*- coding: utf-8 -*-
import sys
from {module} import {name}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({attribute}())
"""
PLACEHOLDER: Final = b"#!python"  # PEP 427: installers replace it


def entry_point_scripts(entry_points: bytes, target: InstallTarget) -> Iterator[tuple[str, bytes]]:
    """Each script's name and content, from an `entry_points.txt`.

    Where there is a `pip3` there is one for the target's version, and for no other: pip and uv both know of this case.

    Raises:
        BadZipError: it cannot be read, or names something that is neither a file nor a function.
    """
    # Only the equals sign divides, and names keep their case.
    parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(entry_points.decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        raise BadZipError(f"its entry_points.txt cannot be read: {str(error).splitlines()[0]}") from None
    shebang = shebang_line(target.prefix)
    versioned = f"pip{target.python[0]}.{target.python[1]}"
    for group in _GROUPS:
        for name, value in parser.items(group) if parser.has_section(group) else ():
            reference = _REFERENCE.match(value.strip())
            if not reference or not _all_names(reference["module"], reference["attribute"]):
                raise BadZipError(f"its script {name!r} names no function: {value[:100]!r}")
            if not _NAME.match(name) or name in (".", ".."):
                raise BadZipError(f"it has a script with a name that is no file's: {name[:100]!r}")
            attribute = reference["attribute"]
            script = _SCRIPT.format(
                shebang=shebang, module=reference["module"], name=attribute.partition(".")[0], attribute=attribute
            )
            if not _VERSIONED_PIP.match(name):
                yield name, script.encode()
            if name == "pip3":
                yield versioned, script.encode()


def with_interpreter(script: bytes, prefix: str) -> bytes:
    """A script that starts with `#!python` or `#!pythonw` made to run the environment's interpreter."""
    line, newline, rest = script.partition(b"\n")
    arguments = line.removeprefix(PLACEHOLDER).removeprefix(b"w")
    return shebang_line(prefix).encode() + arguments + newline + rest


def shebang_line(prefix: str) -> str:
    """The first line; three where the kernel would not read it whole, or would cut it at a space."""
    python = f"{prefix}/bin/python"
    if len(python) + 2 <= _LONGEST_SHEBANG and " " not in python:
        return f"#!{python}"
    quoted = python.replace('"', '\\"')
    return f"""#!/bin/sh\n'''exec' "{quoted}" "$0" "$@"\n' '''"""


def _all_names(*dotted: str) -> bool:
    return all(part.isidentifier() for text in dotted for part in text.split("."))
