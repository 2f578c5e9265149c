"""Secrets to the message that a template carries, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagebuilder.spec.secret import Secret, secrets_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flyteidl2.core.security_pb2 import Secret as SecretMessage
    from flyteidl2.core.security_pb2 import SecurityContext


def security_message(secrets: Sequence[Secret]) -> SecurityContext | None:
    """The message; None where there are no secrets. A mount stands in `env_var`, told apart by the requirement."""
    if not secrets:
        return None
    from flyteidl2.core.security_pb2 import Secret as SecretMessage
    from flyteidl2.core.security_pb2 import SecurityContext

    def message(secret: Secret) -> SecretMessage:
        kind, where = (
            (SecretMessage.FILE, secret.mount) if secret.variable is None else (SecretMessage.ENV_VAR, secret.variable)
        )
        return SecretMessage(group=secret.group, key=secret.key, mount_requirement=kind, env_var=where)

    return SecurityContext(secrets=[message(secret) for secret in secrets])


def secrets_of(given: Any) -> tuple[Secret, ...]:
    """Accept the message, or secrets as they are written elsewhere."""
    if not hasattr(given, "DESCRIPTOR"):
        return secrets_from(given, "security_ctx")
    return tuple(_secret(message) for message in given.secrets)


def _secret(message: SecretMessage) -> Secret:
    group, where = message.group or None, message.env_var or None
    if message.mount_requirement == message.FILE:
        return Secret(message.key, group, mount=where or f"/run/secrets/{message.key}")
    return Secret(message.key, group, as_env_var=where)
