"""One platform of one image, step by step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.assembly import Assembly
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.direct.users import Users
from imagebuilder.builders.events import Step, Warning  # noqa: A004 - the design's event
from imagebuilder.errors import BuildError
from imagebuilder.layers import write_skeleton
from imagebuilder.plan.ops import (
    Copy,
    Exec,
    InstallPackages,
    MakeAccount,
    MakeFolder,
    MakeVenv,
    Plan,
    SetEntrypoint,
    SetEnv,
    SetLabels,
    SetUser,
    SetWorkdir,
)
from imagebuilder.plan.render import shows

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.direct.python import Environments
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.plan.ops import FileOp
    from imagebuilder.plan.ops import Step as PlanStep
    from imagebuilder.registry import Descriptor, OCILayout
    from imagebuilder.spec.platform import Platform

_ROOT = (0, 0)


@dataclass(frozen=True)
class Tools:
    """What assembling takes; `check` raises KeyboardInterrupt where nobody wants the image any more."""

    store: OCILayout
    environments: Environments
    emit: Emit
    check: Callable[[], None]


class Work:
    """Puts a plan's steps on a base; the plan is the request's, or the last of its steps."""

    def __init__(
        self, tools: Tools, base: Base, facts: BaseFacts, *, plan: Plan, request: BuildRequest, platform: Platform
    ) -> None:
        assert isinstance(request.plan, Plan)
        self.tools = tools
        self.base = base
        self.plan = plan
        self.request = request
        self.platform = platform
        self.assembly = Assembly(base, facts, tools.store, tools.check)
        self.users = Users(request.plan)
        self.first = len(request.plan.steps) - len(plan.steps)
        self.installed = False

    def run(self) -> Descriptor:
        """Write layers, config and manifest.

        Raises:
            NotDirectError: a step must run, after all.
            BuildError: a step cannot be done; the message names its layer.
        """
        if self.base.settings.get("OnBuild"):
            raise NotDirectError(f"{self.request.name}: the base {self.base.name} has ONBUILD steps, which must run")
        for number, step in enumerate(self.plan.steps):
            self.tools.check()
            self._step(number, step)
        user = self.users.of_container
        if user is not None:
            self.assembly.set_user(user)
        self.assembly.set_labels(dict(self.plan.labels))
        return self.assembly.finish()

    def _step(self, number: int, step: PlanStep) -> None:
        began = time.monotonic()
        name, title, request = f"{self.platform}/{number}", shows(step.op), self.request.name
        emit = self.tools.emit if isinstance(step.op, (Exec, Copy)) else lambda _: None
        emit(Step(request, name, title, "started", step.layer))
        try:
            self._apply(number, step)
        except BaseException as error:
            emit(Step(request, name, title, "failed", step.layer, time.monotonic() - began))
            if isinstance(error, BuildError):
                where = f"layer {step.layer}, {self.plan.titles[step.layer]}" if step.layer else self.plan.titles[0]
                told = error.message if where in error.message else f"{where}: {error.message}"
                raise BuildError(f"{request}: {told}", hint=error.hint) from error
            raise
        emit(Step(request, name, title, "done", step.layer, time.monotonic() - began))

    def _apply(self, number: int, step: PlanStep) -> None:
        assembly = self.assembly
        match step.op:
            case Exec(files_only=()):
                raise NotDirectError(f"{self.request.name}: {shows(step.op)} must run")
            case Exec(files_only=ops):
                for op in ops:
                    self._files(op)
            case Copy():
                assembly.copy(step.op, self.plan.materials[step.op.files])
            case SetEnv(variables, prepend):
                assembly.set_env(dict(variables), prepend)
            case SetWorkdir(path):
                user = self.users.at[self.first + number]
                user = str(self.base.settings.get("User") or "root") if user is None else user
                missing = not assembly.has_folder(assembly.absolute(path))
                assembly.set_workdir(path, assembly.ids(user) if missing and user != "root" else _ROOT)
            case SetLabels(labels):
                assembly.set_labels(dict(labels))
            case SetEntrypoint(args):
                assembly.set_entrypoint(args)
            case SetUser():
                pass  # `users` knows

    def _files(self, op: FileOp) -> None:
        assembly = self.assembly
        match op:
            case MakeAccount(name, uid):
                assembly.make_account(name, uid)
            case MakeFolder(path, owner):
                assembly.make_folder(path, assembly.ids(owner), above=_ROOT)
            case MakeVenv(path, system_packages):
                self._make_venv(path, system_packages=system_packages)
            case InstallPackages():
                self._install()

    def _make_venv(self, path: str, *, system_packages: bool) -> None:
        if self.assembly.has_folder(f"{path}/bin"):
            return
        target, version = self.tools.environments.install_target(self.assembly.facts, path)
        folder = self.tools.store.folder
        layer = write_skeleton(target, folder, version=version, system_packages=system_packages)
        self.assembly.add([layer], [f"{path}/bin", f"{path}/{target.site_packages}"])

    def _install(self) -> None:
        """All Python layers together, where the first of them stands."""
        if self.installed:
            return
        self.installed = True
        tools, assembly = self.tools, self.assembly
        room = len(self.base.manifest.layers) + len(self.plan.steps) + 1
        made = tools.environments.install(
            self.plan,
            self.request,
            assembly.facts,
            platform=self.platform,
            room=room,
            emit=tools.emit,
            check=tools.check,
        )
        assembly.add(made.layers)
        for message in made.warnings:
            tools.emit(Warning(self.request.name, message))
