"""One platform of one image, step by step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.ahead import made_ahead
from imagebuilder.builders.direct.assembly import Assembly
from imagebuilder.builders.direct.contents import Made
from imagebuilder.builders.direct.record import ASSEMBLY, BASE_DIGEST, BASE_NAME, Laid, Record
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.direct.users import Users
from imagebuilder.builders.events import Step
from imagebuilder.errors import BuildError
from imagebuilder.layers import write_skeleton
from imagebuilder.plan.ops import (
    CheckPython,
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
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.contents import Contents
    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.direct.python import Environments
    from imagebuilder.builders.direct.remembered import Remembered
    from imagebuilder.builders.direct.sdists import Sdists
    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.plan.ops import FileOp
    from imagebuilder.plan.ops import Step as PlanStep
    from imagebuilder.registry import Descriptor, OCILayout
    from imagebuilder.spec.platform import Platform


@dataclass(frozen=True)
class Tools:
    """What assembling takes; `check` raises KeyboardInterrupt where nobody wants the image any more.

    `sdists` makes wheels for a part of an image, with what it is put on.
    """

    store: OCILayout
    environments: Environments
    emit: Emit
    check: Callable[[], None]
    remembered: Remembered
    sdists: Callable[[Base, Plan, Platform], Sdists | None] = field(default=lambda *_: None)


class Work:
    """Puts a plan's steps on a base; the plan is the request's, or the last of its steps.

    Files come from `contents`: by default they are made of what the request has.
    """

    def __init__(
        self,
        tools: Tools,
        base: Base,
        facts: BaseFacts,
        *,
        plan: Plan,
        request: BuildRequest,
        platform: Platform,
        contents: Contents | None = None,
    ) -> None:
        assert isinstance(request.plan, Plan)
        self.tools = tools
        self.base = base
        self.plan = plan
        self.request = request
        self.platform = platform
        self.assembly = Assembly(base, facts, tools.store, tools.check, tools.remembered)
        self.contents = contents or Made(tools, base, plan=plan, request=request, platform=platform)
        self.laid: list[Laid] = []
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
            raise NotDirectError(
                f"{self.request.name}: the base {self.base.name} has ONBUILD steps, which must run", layer=0
            )
        with made_ahead(self.tools, self.base, self.assembly.facts, self.plan):
            for number, step in enumerate(self.plan.steps):
                self.tools.check()
                self._step(number, step)
        user = self.users.of_container
        if user is not None:
            self.assembly.set_user(user)
        self.assembly.set_labels(dict(self.plan.labels))
        return self.assembly.finish(self._annotations())

    def _annotations(self) -> dict[str, str]:
        """Where the base ends and how the rest was put on it; where steps ran below, only they can be run again."""
        if self.first:
            return {}
        record = Record(len(self.base.manifest.layers), self.plan.base_user, self.plan.steps, tuple(self.laid))
        return {
            BASE_NAME: str(Reference.parse(self.plan.base)),
            BASE_DIGEST: self.base.manifest.digest,
            ASSEMBLY: record.to_json(),
        }

    def _step(self, number: int, step: PlanStep) -> None:
        began = time.monotonic()
        name, title, request = f"{self.platform}/{number}", shows(step.op), self.request.name
        emit = self.tools.emit if isinstance(step.op, (Exec, Copy)) else lambda _: None
        emit(Step(request, name, title, "started", step.layer))
        try:
            self._apply(number, step)
        except BaseException as error:
            emit(Step(request, name, title, "failed", step.layer, time.monotonic() - began))
            if isinstance(error, NotDirectError) and error.layer is None:
                error.layer = step.layer
            if isinstance(error, BuildError):
                where = f"layer {step.layer}, {self.plan.titles[step.layer]}" if step.layer else self.plan.titles[0]
                said = error.message.removeprefix(f"{request}: ")
                told = said if where in said else f"{where}: {said}"
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
                self.laid.append(self.contents.copy(assembly, step.op))
            case SetEnv(variables, prepend):
                assembly.set_env(dict(variables), prepend)
            case SetWorkdir(path):
                user = self.users.at[self.first + number]
                user = str(self.base.settings.get("User") or "root") if user is None else user
                self.laid.append(self.contents.folder(assembly, path, user, user))
                assembly.set_workdir(path)
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
                self.laid.append(self.contents.anew(assembly, lambda: assembly.make_account(name, uid)))
            case MakeFolder(path, owner):
                self.laid.append(self.contents.folder(assembly, path, owner, "root"))
            case MakeVenv(path, system_packages):
                make = partial(self._make_venv, path, system_packages=system_packages)
                self.laid.append(self.contents.anew(assembly, make))
            case CheckPython(path, version):
                found, _ = self.tools.environments.install_target(assembly.facts, path)
                if found.python != version:
                    have, want = (".".join(map(str, one)) for one in (found.python, version))
                    raise BuildError(
                        f"{self.request.name}: the base has Python {have}, not {want}",
                        hint=f'write with_sdk(python_version="{have}")',
                    )
            case InstallPackages():
                if not self.installed:  # all Python layers together, where the first of them stands
                    self.installed = True
                    self.laid.append(self.contents.install(assembly, self._prefix()))

    def _prefix(self) -> str:
        assert isinstance(self.request.plan, Plan)
        ops = (op for step in self.request.plan.steps if isinstance(step.op, Exec) for op in step.op.files_only)
        return next(op.path for op in ops if isinstance(op, MakeVenv))

    def _make_venv(self, path: str, *, system_packages: bool) -> None:
        if self.assembly.has_folder(f"{path}/bin"):
            return
        target, version = self.tools.environments.install_target(self.assembly.facts, path)
        folder = self.tools.store.folder
        layer = write_skeleton(target, folder, version=version, system_packages=system_packages)
        self.assembly.add([layer], [f"{path}/bin", f"{path}/{target.site_packages}"])
