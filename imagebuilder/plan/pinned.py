"""A plan with what its lock fixes put in: the base by its digest, the packages by theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from imagebuilder.plan.ops import Exec, InstallPackages
from imagebuilder.plan.pip import pip_arguments
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.toml_text import dump
from imagebuilder.spec.base import ScriptBase
from imagebuilder.spec.layers import PipPackages, Requirements, Wheels

if TYPE_CHECKING:
    from imagebuilder.lock.pins import Pins, PlatformPins
    from imagebuilder.plan.ops import Plan, Step

_NAME: Final = "pylock.imagebuilder.toml"
# What an installer would resolve; the other kinds bring a lock of their own.
_RESOLVED: Final = (PipPackages, Requirements, Wheels, ScriptBase)


def pinned_base(reference: str, pins: Pins) -> str:
    """A base by its digest; its tag stays, for people."""
    return f"{reference.partition('@')[0]}@{pins.base}"


def pinned(plan: Plan, pins: Pins) -> Plan:
    """Pin a plan; where packages are not pinned on some platform, its steps resolve them as they always do."""
    materials = dict(plan.materials)
    steps: list[Step] = []
    number = 0
    resolved = not any(one.unpinned for one in pins.platforms)
    for step in plan.steps:
        install = _install(step.op)
        number += install is not None
        if install is None or not resolved or not isinstance(install.what, _RESOLVED):
            steps.append(step)
            continue
        assert isinstance(step.op, Exec)
        key = step.op.files or f"{step.layer}-pinned"
        pieces = install.material.pieces if install.material else ()
        materials[key] = Material((*pieces, (_NAME, Text(_pylock(pins.platforms, number).encode()))))
        values = (
            ("venv", dict(step.op.values)["venv"]),
            ("arguments", (*pip_arguments(install.what.options), "-r", _NAME)),
            ("no_config", 1),
        )
        steps.append(replace(step, op=replace(step.op, template="steps/pip.sh.j2", values=values, files=key)))
    return replace(plan, base=pinned_base(plan.base, pins), steps=tuple(steps), materials=materials)


def _install(op: object) -> InstallPackages | None:
    if not isinstance(op, Exec):
        return None
    return next((one for one in op.files_only if isinstance(one, InstallPackages)), None)


def _pylock(platforms: tuple[PlatformPins, ...], step: int) -> str:
    """A lock (PEP 751) of one step for all platforms, markers telling apart what is not the same on all."""
    found: list[tuple[dict[str, Any], list[str]]] = []
    for platform in platforms:
        for package in platform.packages:
            if package.step == step:
                table = dict(package.table)
                known = next((machines for there, machines in found if there == table), None)
                if known is None:
                    found.append((table, [platform.machine]))
                else:
                    known.append(platform.machine)
    packages = []
    for table, machines in sorted(found, key=lambda one: (one[0]["name"], one[1])):
        marker = " or ".join(f"platform_machine == '{machine}'" for machine in machines)
        packages.append(table if len(machines) == len(platforms) else {**table, "marker": marker})
    return dump({"lock-version": "1.0", "created-by": "imagebuilder", "packages": packages})
