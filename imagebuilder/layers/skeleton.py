"""An empty virtual environment, as `uv venv` makes it, without running a Python."""

from __future__ import annotations

import posixpath
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagebuilder.layers.layer import Layer, TarEntry
from imagebuilder.layers.merge import merge
from imagebuilder.layers.writer import write_layer

if TYPE_CHECKING:
    import os

    from imagebuilder.layers.target import InstallTarget

# For people in a shell; what runs in the image has the environment on its PATH.
_ACTIVATE: Final = """\
# Source this file: . bin/activate
deactivate () {{
    if [ -n "${{_OLD_VIRTUAL_PATH+set}}" ]; then PATH=$_OLD_VIRTUAL_PATH; export PATH; unset _OLD_VIRTUAL_PATH; fi
    if [ -n "${{_OLD_VIRTUAL_PYTHONHOME+set}}" ]; then
        PYTHONHOME=$_OLD_VIRTUAL_PYTHONHOME; export PYTHONHOME; unset _OLD_VIRTUAL_PYTHONHOME
    fi
    if [ -n "${{_OLD_VIRTUAL_PS1+set}}" ]; then PS1=$_OLD_VIRTUAL_PS1; export PS1; unset _OLD_VIRTUAL_PS1; fi
    hash -r 2>/dev/null
    unset VIRTUAL_ENV VIRTUAL_ENV_PROMPT
    if [ "${{1-}}" != nondestructive ]; then unset -f deactivate; fi
}}
deactivate nondestructive

VIRTUAL_ENV={prefix}
VIRTUAL_ENV_PROMPT={name}
export VIRTUAL_ENV VIRTUAL_ENV_PROMPT
_OLD_VIRTUAL_PATH=$PATH
PATH="$VIRTUAL_ENV/bin:$PATH"
export PATH
if [ -n "${{PYTHONHOME+set}}" ]; then _OLD_VIRTUAL_PYTHONHOME=$PYTHONHOME; unset PYTHONHOME; fi
if [ -z "${{VIRTUAL_ENV_DISABLE_PROMPT-}}" ]; then
    _OLD_VIRTUAL_PS1=${{PS1-}}
    PS1="($VIRTUAL_ENV_PROMPT) ${{PS1-}}"
    export PS1
fi
hash -r 2>/dev/null
"""


def skeleton(target: InstallTarget, *, version: str | None = None, system_packages: bool = False) -> list[TarEntry]:
    """The environment's own files (PEP 405); `version` is the interpreter's full one, where it is known.

    `system_packages` lets it see what the base has installed.
    """
    root = target.root
    home, interpreter = posixpath.split(target.interpreter)
    config = {
        "home": home,
        "implementation": "CPython",
        "version_info": version or ".".join(map(str, target.python)),
        "include-system-site-packages": "true" if system_packages else "false",
    }
    activate = _ACTIVATE.format(prefix=shlex.quote(target.prefix), name=shlex.quote(posixpath.basename(target.prefix)))
    return merge(
        [
            [
                TarEntry.folder(root),
                TarEntry.file(
                    f"{root}/pyvenv.cfg", "".join(f"{key} = {text}\n" for key, text in config.items()).encode()
                ),
                TarEntry.file(f"{root}/bin/activate", activate.encode()),
                TarEntry.symlink(f"{root}/bin/python", f"{home}/{interpreter}"),
                TarEntry.symlink(f"{root}/bin/python{target.python[0]}", "python"),
                TarEntry.symlink(f"{root}/bin/{target.python_name}", "python"),
                TarEntry.folder(f"{root}/{target.site_packages}"),
                TarEntry.symlink(f"{root}/lib64", "lib"),
            ]
        ],
        root,
    )


def write_skeleton(
    target: InstallTarget,
    store_dir: str | os.PathLike[str],
    *,
    version: str | None = None,
    system_packages: bool = False,
) -> Layer:
    """The environment as a layer of the OCI layout at `store_dir`."""
    blobs = Path(store_dir) / "blobs" / "sha256"
    what = f"virtual environment {target.prefix}"
    entries = skeleton(target, version=version, system_packages=system_packages)
    return write_layer(entries, blobs, what=what, owner=target.owner, mtime=target.mtime)
