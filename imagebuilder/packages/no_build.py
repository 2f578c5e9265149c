"""An interpreter for uv to resolve with that builds nothing: a build backend is anybody's code."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Final

REFUSED: Final = "imagebuilder builds nothing on this machine, nor in"

# uv asks what an interpreter is, and then calls the one that the answer names: this script again.
_ANSWER: Final = (
    "import json, subprocess, sys; own, *words = sys.argv[1:]; "
    "told = subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, check=True); "
    "info = json.loads(told.stdout); "
    "info.update({name: own for name in ('sys_executable', 'sys_base_executable') if name in info}); "
    "print(json.dumps(info))"
)


def refusing_interpreter(folder: Path) -> Path:
    """A script below `folder` that uv takes for this process's Python, and that runs nobody's code.

    Its path and its time stay the same: uv remembers by them what an interpreter is.
    """
    real = getattr(sys, "_base_executable", None) or sys.executable
    path = folder / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    answer = " ".join(map(shlex.quote, (real, "-I", "-c", _ANSWER, str(path))))
    text = (
        "#!/bin/sh\n"
        'case "$*" in\n'
        f'*get_interpreter_info*) exec {answer} "$@" ;;\n'
        "esac\n"
        f'echo "{REFUSED} $(pwd -P)" >&2\n'
        "exit 1\n"
    )
    with contextlib.suppress(OSError):
        if path.read_text() == text and os.access(path, os.X_OK):
            return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".part-", delete=False) as file:
        file.write(text)
    part = Path(file.name)
    part.chmod(0o755)
    part.replace(path)
    return path
