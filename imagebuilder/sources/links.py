"""Where symbolic links lead: a link is shipped as a link, so it must mean the same wherever the folder stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Linux follows this many links before it says ELOOP (path_resolution(7)); past it a link leads nowhere, so not outside.
_LINK_LIMIT = 40


def check_links(root: str, links: Mapping[str, str]) -> None:
    """Refuse links that are absolute or lead out of the folder; one that leads nowhere inside it is fine.

    Raises:
        SourceError: names the link and its target.
    """
    for link, target in links.items():
        if target.startswith("/"):
            raise SourceError(
                f"{root}/{link} is a symbolic link to {target}, an absolute path, which is another file in the image",
                hint="make the link relative, or leave it out with a pattern in .dockerignore or ignore=",
            )
        if _leaves(link, links):
            raise SourceError(
                f"{root}/{link} is a symbolic link to {target}, which is outside the folder {root}",
                hint="copy the file into the folder, or leave the link out with a pattern in .dockerignore or ignore=",
            )


def _leaves(link: str, links: Mapping[str, str]) -> bool:
    """Follow a link one component at a time, as the kernel would, until it steps above the root."""
    place: list[str] = []
    ahead = list(reversed(link.split("/")))
    followed = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not place:
                return True
            place.pop()
            continue
        place.append(part)
        target = links.get("/".join(place))
        if target is None:
            continue
        followed += 1
        if followed > _LINK_LIMIT:
            return False
        if target.startswith("/"):
            return False  # refused on its own account
        place.pop()
        ahead.extend(reversed(target.split("/")))
    return False
