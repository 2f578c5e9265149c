"""The Python that a plan has on a base: which one it is, what is installed with it, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.errors import BuildError, SpecError
from imagebuilder.packages import PythonStep, PythonTarget
from imagebuilder.plan.ops import Exec, InstallPackages, Plan

if TYPE_CHECKING:
    from imagebuilder.builders.direct.facts import BaseFacts, Interpreter
    from imagebuilder.layers import InstallTarget
    from imagebuilder.spec.platform import Platform


def interpreter_of(facts: BaseFacts) -> Interpreter:
    """The one of a base.

    Raises:
        BuildError: it has none.
        NotDirectError: only running it tells what it is.
    """
    if facts.interpreter is not None:
        return facts.interpreter
    if facts.odd_python is not None:
        raise NotDirectError(f"what Python {facts.odd_python} of the base is can only be found out by running it")
    raise BuildError(
        "the base image has no Python, so Python packages cannot be installed",
        hint='start from one that has, or add it with with_apt_packages("python3")',
    )


def python_target(facts: BaseFacts, target: InstallTarget, platform: Platform) -> PythonTarget:
    """What wheels are chosen for.

    Raises:
        ImageBuilderError: as `interpreter_of`, or the C library is not known.
    """
    found = interpreter_of(facts)
    version = found.full_version if found.version == target.python else target.python
    if facts.glibc is None and facts.musl is None:
        raise NotDirectError("the base does not say which C library it has, so no wheels can be chosen for it")
    try:
        return PythonTarget(version, platform, glibc=facts.glibc, musl=facts.musl)
    except SpecError as error:
        raise NotDirectError(error.message) from None


def python_steps(plan: Plan) -> list[PythonStep]:
    """What a plan installs, in the order of its layers."""
    return [
        PythonStep(step.layer, op.what, op.material)
        for step in plan.steps
        if isinstance(step.op, Exec)
        for op in step.op.files_only
        if isinstance(op, InstallPackages)
    ]


def prefix_of(plan: Plan) -> str:
    """The folder of a plan's virtual environment."""
    values = (dict(step.op.values) for step in plan.steps if isinstance(step.op, Exec))
    return next(str(found["venv"]) for found in values if "venv" in found)
