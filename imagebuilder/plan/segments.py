"""What of a plan must run, what is only files, and why: decided without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.plan.ops import DockerfilePlan, Exec, InstallPackages, Plan
from imagebuilder.spec.layers import PoetryProject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.plan.ops import Step


@dataclass(frozen=True)
class Segments:
    """The number of layers of the spec that BuildKit makes first, and for each layer that must run the reason.

    0 means that everything is assembled on the base itself; the base's own steps then are, too.
    """

    prefix: int
    reasons: tuple[tuple[int, str], ...]


def segments(plan: Plan | DockerfilePlan, refused: Mapping[int, str] | None = None) -> Segments | None:
    """Divide a plan; None where all of it must go to BuildKit, as for a Dockerfile.

    `refused` has layers that turned out to be more than files, with the reason; 0 is the base's own part.

    A layer that installs Python packages after one that must run is assembled too, unless packages were installed
    before that one: what is in the environment then is known only to an installer that looks.
    """
    if isinstance(plan, DockerfilePlan):
        return None
    # The part that runs has a layer of the spec at least: without one it would be the base.
    reasons = [(max(1, layer), reason) for layer, reason in (refused or {}).items()]
    last = max((layer for layer, _ in reasons), default=0)
    for step in plan.steps:
        reason = _must_run(step)
        if reason is not None:
            reasons.append((step.layer, reason))
            last = max(last, step.layer)
    installs = [step.layer for step in plan.steps if _installs(step)]
    if any(layer <= last for layer in installs) and any(layer > last for layer in installs):
        late = [layer for layer in installs if layer > last]
        reasons += [(layer, "it adds to packages that were installed before a layer that must run") for layer in late]
        last = max(late)
    if last == 0 and reasons:
        return None
    return Segments(last, tuple(sorted(set(reasons))))


def _must_run(step: Step) -> str | None:
    if not isinstance(step.op, Exec):
        return None
    if not step.op.files_only:
        return f"it runs {' '.join(step.op.shows.split()[:2]) or 'a command'}"
    for op in step.op.files_only:
        if isinstance(op, InstallPackages):
            if isinstance(op.what, PoetryProject):
                return "Poetry itself installs it"
            if any(secret.variable is None for secret in op.what.options.secret_mounts):
                return "an installer reads a secret as a file of the image"
    return None


def _installs(step: Step) -> bool:
    return isinstance(step.op, Exec) and any(isinstance(op, InstallPackages) for op in step.op.files_only)
