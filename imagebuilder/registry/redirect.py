"""Which redirects and upload locations are followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagebuilder.registry.origin import Origin

STATUSES = frozenset({301, 302, 303, 307, 308})
LIMIT = 5

# Where clouds hand out the machine's own credentials; all but the named ones lie in link-local ranges.
_METADATA = frozenset({"metadata.google.internal", "metadata", "100.100.100.200", "fd00:ec2::254", "192.0.0.192"})


def refusal(start: Origin, to: Origin) -> str | None:
    """Why a step from one origin to another is not taken; None where it is."""
    if start == to:
        return None
    if start.scheme == "https" and to.scheme == "http":
        return f"it leads from https to plain http ({to})"
    if is_forbidden_address(to.host):
        return f"it leads to the link-local or metadata address {to.host}"
    return None


def is_forbidden_address(host: str) -> bool:
    """Whether a host name or address is link-local (RFC 3927, RFC 4291) or a cloud's metadata service."""
    host = host.lower().rstrip(".").partition("%")[0].removeprefix("::ffff:")
    return (
        host in _METADATA
        or (host.startswith("169.254.") and host.count(".") == 3)
        or (":" in host and host[:3] in {"fe8", "fe9", "fea", "feb"})
    )


def keeps_method(status: int) -> bool:
    """Whether a request with a body is sent again as it was (RFC 9110 section 15.4)."""
    return status in (307, 308)
