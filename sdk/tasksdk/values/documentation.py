"""What a task's page says."""

from __future__ import annotations

from imagebuilder.spec.value import Value


class Documentation(Value):
    """Words for people: one line, the whole text, and where the source is."""

    short_description: str = ""
    long_description: str = ""
    source_code: str | None = None


def documentation_of(docstring: str | None) -> Documentation | None:
    """The first paragraph of a docstring and the whole of it."""
    if not docstring or not docstring.strip():
        return None
    lines = docstring.expandtabs().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    text = "\n".join([lines[0].strip(), *(line[margin:].rstrip() for line in lines[1:])]).strip()
    first = " ".join(text.split("\n\n", 1)[0].split())
    return Documentation(first, text)
