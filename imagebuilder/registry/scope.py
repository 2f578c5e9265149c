"""What a token is for: sets of `type:name:action` (distribution's "Token Scope Documentation")."""

from __future__ import annotations

from typing import TypeAlias

# Canonical scope strings, sorted: usable as a key.
Scopes: TypeAlias = tuple[str, ...]


def pull(repository: str) -> Scopes:
    """To read one repository."""
    return (f"repository:{repository}:pull",)


def push(repository: str, *sources: str) -> Scopes:
    """To write one repository, and read those that blobs are mounted from."""
    return merge((f"repository:{repository}:pull,push",), *(pull(source) for source in sources))


def merge(*scopes: Scopes) -> Scopes:
    """All of them, each resource once with all its actions."""
    resources: dict[str, set[str]] = {}
    for scope in (part for group in scopes for text in group for part in text.split()):
        resource, _, actions = scope.rpartition(":")
        if resource:
            resources.setdefault(resource, set()).update(action for action in actions.split(",") if action)
    return tuple(f"{resource}:{','.join(sorted(resources[resource]))}" for resource in sorted(resources))
