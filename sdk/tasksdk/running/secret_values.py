"""Where the client finds the values of secrets."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tasksdk.engines.attempt import SecretValue
from tasksdk.errors import UserInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.spec.secret import Secret

ENTRY_POINTS = "tasksdk.secrets"


def secret_values(secrets: Sequence[Secret], where: str) -> tuple[SecretValue, ...]:
    """Each secret with its value: that of the variable GROUP_KEY, else what an installed source knows.

    Raises:
        UserInputError: nobody knows a value; the message names the secret and where it was looked for.
    """
    return tuple(
        SecretValue(secret.key, _value(secret, where), variable=secret.variable, mount=secret.mount)
        for secret in secrets
    )


def known_values(secrets: Sequence[Secret]) -> set[str]:
    """The values that are known here, for whoever must not show them."""
    found = set()
    for secret in secrets:
        with suppress(UserInputError):
            found.add(_value(secret, "a task"))
    return found


def _value(secret: Secret, where: str) -> str:
    value = os.environ.get(secret.default_variable)
    if value is not None:
        return value
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS):
        value = point.load()(secret)
        if value is not None:
            return str(value)
    raise UserInputError(
        f"{where}: secret {secret.key!r} has no value here",
        hint=f"set the variable {secret.default_variable}, or configure the secret for imagebuilder",
    )
