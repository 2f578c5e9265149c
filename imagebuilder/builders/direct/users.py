"""Who a Dockerfile would run each step as: what is made without running belongs to the same users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.plan.ops import Exec, SetUser

if TYPE_CHECKING:
    from imagebuilder.plan.ops import Plan


class Users:
    """`at` has the user before each step, None where the base's own; `of_container` is None where it stays the base's.

    The same as what `plan.render` writes: steps that run switch to their own user, and the last line to the
    container's.
    """

    def __init__(self, plan: Plan) -> None:
        user = container = None if plan.base_user is None else plan.base_user or "root"
        switched = False
        self.at: list[str | None] = []
        for step in plan.steps:
            self.at.append(user)
            match step.op:
                case Exec(user=wanted):
                    switched |= (wanted or "root") != user
                    user = wanted or "root"
                case SetUser(name):
                    container = name
                case _:
                    pass
        switched |= container is not None and container != user
        self.of_container: str | None = None
        if container is not None:
            self.of_container = container if switched else plan.base_user or ""
