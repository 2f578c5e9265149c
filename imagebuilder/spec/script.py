"""The metadata block of a Python script (PEP 723)."""

from __future__ import annotations

import re
import sys
from typing import Any

from imagebuilder.errors import SpecError
from imagebuilder.spec.value import Value

# The regular expression of the specification ("Inline script metadata", reference implementation's grammar).
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


class ScriptMetadata(Value):
    """What the block says: the TOML text, and its parts."""

    toml: str
    dependencies: tuple[str, ...]
    requires_python: str | None
    tool_uv: dict[str, Any]


def parse_script(source: str, name: str) -> ScriptMetadata:
    """Read the `script` block of a script's source; `name` is for messages.

    Raises:
        SpecError: no block, two blocks, or a block that is not what the specification says.
    """
    blocks = [found for found in _BLOCK.finditer(source.replace("\r\n", "\n")) if found["type"] == "script"]
    if len(blocks) != 1:
        raise SpecError(
            f"{name} has {'no' if not blocks else 'more than one'} PEP 723 metadata block",
            hint='write it at the top: "# /// script", "# dependencies = [...]", "# ///"; '
            f"`uv add --script {name} PACKAGE` does it for you",
        )
    lines = blocks[0]["content"].splitlines()
    toml = "".join((line[2:] if line.startswith("# ") else line[1:]) + "\n" for line in lines)
    data = load_toml(toml, f"the metadata block of {name}")
    dependencies = data.get("dependencies", [])
    requires = data.get("requires-python")
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        raise SpecError(f"{name}: dependencies is not a list of strings", hint='write dependencies = ["numpy"]')
    if requires is not None and not isinstance(requires, str):
        raise SpecError(f"{name}: requires-python is not a string", hint='write requires-python = ">=3.11"')
    tool = data.get("tool", {})
    return ScriptMetadata(toml, tuple(dependencies), requires, tool.get("uv", {}) if isinstance(tool, dict) else {})


def load_toml(text: str, name: str) -> dict[str, Any]:
    """Parse TOML; the library is loaded only where some is read.

    Raises:
        SpecError: it is not TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{name} is not valid TOML: {error}") from error
