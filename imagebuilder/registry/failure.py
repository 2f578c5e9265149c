"""Broken connections in words: what it means, whether it may pass, what to do."""

from __future__ import annotations

from typing import NamedTuple

from imagebuilder.registry.dial import ForbiddenAddressError, Unreachable


class Explanation(NamedTuple):
    """Why no answer came; `attempts` limits how often it is worth trying, None leaves it to the settings."""

    reason: str
    hint: str | None
    attempts: int | None = None


# A refused connection or an unknown host seldom changes within seconds.
_UNREACHABLE_ATTEMPTS = 3


def explain(error: OSError, registry: str, stall: float) -> Explanation:
    """Put a network failure into words."""
    if isinstance(error, ForbiddenAddressError):
        return Explanation(str(error), None, 1)
    if isinstance(error, Unreachable):
        hint = f"check the name {registry}, the network and the proxy settings"
        return Explanation(str(error), hint, _UNREACHABLE_ATTEMPTS)
    if isinstance(error, TimeoutError):
        why = str(error)
        if not why or "timed out" in why:
            why = f"it made no progress for {stall:g} s"
        return Explanation(why, "try again; the registry or the network is slow")
    return _explain_tls(error, registry) or Explanation(error.strerror or str(error) or type(error).__name__, None)


def _explain_tls(error: OSError, registry: str) -> Explanation | None:
    kinds = {cls.__name__ for cls in type(error).__mro__}  # ssl may not even be imported
    if "SSLCertVerificationError" in kinds:
        why = getattr(error, "verify_message", "") or str(error)
        hint = "if its certificate is from an authority of your own, name that in ca_bundle or SSL_CERT_FILE"
        return Explanation(f"its certificate is not trusted: {why}", hint, 1)
    if "SSLError" not in kinds:
        return None
    reason = str(getattr(error, "reason", "") or error)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return Explanation("it does not speak TLS", f"if {registry} speaks plain http, set plain_http for it", 1)
    return Explanation(f"TLS failed: {reason}", None)
