"""A Python requirement (PEP 508), as far as a spec must tell it from everything else that people write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imagebuilder.errors import SpecError
from imagebuilder.spec.credential import has_credentials, mask

if TYPE_CHECKING:
    from imagebuilder.spec.secret import Secret

# The shape: a name with extras, then versions or a URL, then a marker; or a URL alone.
_MARKER_VALUE = (
    r"(?:python_version|python_full_version|os_name|sys_platform|platform_[a-z_]+|implementation_[a-z]+|extras?"
    r"|dependency_groups|'[^']*'|\"[^\"]*\")"
)
_MARKER = rf"\s*;[\s(]*{_MARKER_VALUE}\s*(?:[<>=!~]=?=?|in\b|not\s+in\b)\s*{_MARKER_VALUE}[^;$`\n]*"
_REQUIREMENT = (
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(?:\[[A-Za-z0-9._,\s-]*\])?\s*"
    r"(?:\(?(?:\s*(?:~=|===?|!=|<=|>=|<|>)\s*[A-Za-z0-9._*+!-]+\s*,?)*\)?|@\s*[A-Za-z+]+://\S+)"
    rf"(?:{_MARKER})?\Z"
)
_DIRECT_URL = r"(?:git\+|hg\+|svn\+|bzr\+)?(?:https?|ssh|git)://\S+\Z"
_FILE_URL = r"(?:[^@]*@\s*)?(?:[A-Za-z]+\+)?file:"
# The user name or password of a URL as a variable of the shell's; uv itself expands ${NAME}, and shows it nowhere.
_REFERENCE = r"(?<=[/:])\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})(?=[:@])"


def requirement(item: str, where: str, secrets: tuple[Secret, ...]) -> str:
    """Return a requirement as uv reads it; `secrets` are the ones of its step, which its URL may name.

    Raises:
        SpecError: it is none, is of this machine, or holds credentials.
    """
    stripped, shown = item.strip(), mask(item)
    if has_credentials(item):
        raise SpecError(
            f"{where}: {shown!r} has credentials in it, which would stay in the image's history",
            hint='write https://${TOKEN}@host/... with secret_mounts=[Secret("TOKEN")]',
        )
    if stripped.startswith("-"):
        local = stripped.startswith(("-e", "--editable"))
        raise SpecError(
            f"{where}: {shown!r} is an option, not a package",
            hint="use with_uv_project(...) for a project of yours" if local else f"write extra_args={shown!r}",
        )
    is_file = stripped.endswith((".whl", ".tar.gz")) and "://" not in stripped
    if stripped.startswith((".", "/", "~")) or is_file or re.match(_FILE_URL, stripped):
        raise SpecError(
            f"{where}: {shown!r} is a path of this machine",
            hint="use with_wheels(...) for wheels, with_uv_project(...) for a project",
        )
    if "\n" in item or not _is_requirement(stripped):
        parts = stripped.split()
        hint = 'write it as PEP 508 says: "numpy", "scipy==1.10.0", "pkg @ https://..."'
        if len(parts) > 1 and all(map(_is_requirement, parts)):
            hint = "write " + ", ".join(map(repr, parts))
        raise SpecError(f"{where}: {shown!r} is not a requirement", hint=hint)
    for found in re.finditer(_REFERENCE, stripped):
        name = found[1] or found[2]
        if name not in {secret.variable for secret in secrets}:
            raise SpecError(
                f"{where}: {shown!r} names the variable {name}, and no secret of the step is called that",
                hint=f'write secret_mounts=[Secret("{name.lower()}", as_env_var="{name}")]',
            )
    return re.sub(_REFERENCE, lambda found: f"${{{found[1] or found[2]}}}", stripped)


def _is_requirement(text: str) -> bool:
    return bool(re.match(_REQUIREMENT, text) or re.match(_DIRECT_URL, text))
