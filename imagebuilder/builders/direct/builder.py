"""The direct builder: a plan that is only files becomes an image without anything being run."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.builders.direct.assembly import Assembly
from imagebuilder.builders.direct.base import Base, Bases, LayeredStore
from imagebuilder.builders.direct.facts import FactsMemory
from imagebuilder.builders.direct.python import Environments, NotDirectError
from imagebuilder.builders.events import Step, Warning  # noqa: A004 - the design's event
from imagebuilder.builders.port import Built
from imagebuilder.layers import TarEntry, write_skeleton
from imagebuilder.plan.ops import (
    Copy,
    DockerfilePlan,
    Exec,
    InstallPackages,
    MakeAccount,
    MakeFolder,
    MakeVenv,
    Plan,
)
from imagebuilder.plan.render import shows
from imagebuilder.registry import OCILayout
from imagebuilder.spec.reference import Reference

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from imagebuilder.builders.events import Emit
    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.plan.ops import FileOp
    from imagebuilder.registry import Client, Descriptor
    from imagebuilder.spec.platform import Platform

_INDEX = "application/vnd.oci.image.index.v1+json"


class DirectBuilder:
    """Assembles images; what it reads, fetches and makes is kept under `cache_dir` by digest."""

    def __init__(self, cache_dir: Path, client: Client, environ: Mapping[str, str]) -> None:
        self._store = OCILayout(cache_dir)
        self._bases = Bases(client, FactsMemory(cache_dir / "facts"))
        self._environments = Environments(cache_dir, client.settings, environ)

    def build(self, request: BuildRequest, emit: Emit, cancel: threading.Event) -> Built:
        """Assemble one image for every platform asked for.

        Raises:
            NotDirectError: something of it must be run, after all.
            BuildError: packages could not be resolved or fetched.
            RegistryError: the base's registry could not say.
            SourceChangedError: a file is no longer what was identified.
        """
        plan = request.plan
        if isinstance(plan, DockerfilePlan):
            raise NotDirectError(f"{request.name}: a Dockerfile is run")
        return self.build_on(self.bases_of(Reference.parse(plan.base), request.platforms), plan, request, emit, cancel)

    def bases_of(self, reference: Reference, platforms: Sequence[Platform]) -> list[Base]:
        """The bases at a registry, in the order of the platforms.

        Raises:
            RegistryError: the registry could not say, or lacks a platform.
        """
        return [self._bases.base(reference, platform) for platform in platforms]

    def build_on(
        self, bases: Sequence[Base], plan: Plan, request: BuildRequest, emit: Emit, cancel: threading.Event
    ) -> Built:
        """As `build`, with a plan's steps put on given bases, one for each platform."""
        roots = []
        for platform, base in zip(request.platforms, bases, strict=True):
            work = _Work(self, base, plan, request, platform, emit, cancel)
            roots.append(work.run().replace(platform=platform))
        root = roots[0].replace(platform=None) if len(roots) == 1 else self._index(roots)
        return Built(LayeredStore(self._store, bases), root)

    def _index(self, roots: list[Descriptor]) -> Descriptor:
        content = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [root.to_json() for root in roots]}
        return self._store.write(json.dumps(content, separators=(",", ":"), sort_keys=True).encode(), _INDEX)

    @property
    def parts(self) -> tuple[OCILayout, Bases, Environments]:
        """What a single assembly needs."""
        return self._store, self._bases, self._environments


@dataclass
class _Work:
    """One platform of one image."""

    builder: DirectBuilder
    base: Base
    plan: Plan
    request: BuildRequest
    platform: Platform
    emit: Emit
    cancel: threading.Event

    def run(self) -> Descriptor:
        store, bases, self.environments = self.builder.parts
        self.assembly = Assembly(self.base, bases.facts(self.base), store)
        self.installed = False
        for number, step in enumerate(self.plan.steps):
            if self.cancel.is_set():
                raise KeyboardInterrupt
            began = time.monotonic()
            name, title = f"{self.platform}/{number}", shows(step.op)
            visible = isinstance(step.op, (Exec, Copy))
            if visible:
                self.emit(Step(self.request.name, name, title, "started", step.layer))
            match step.op:
                case Exec(files_only=()):
                    raise NotDirectError(f"{self.request.name}: {title} must run")
                case Exec(files_only=ops):
                    for op in ops:
                        self.files(op)
                case Copy():
                    self.assembly.copy(step.op, self.plan.materials[step.op.files])
                case _:
                    self.assembly.settle(step.op)
            if visible:
                taken = time.monotonic() - began
                self.emit(Step(self.request.name, name, title, "done", step.layer, taken))
        self.finish_accounts()
        for key, value in self.plan.labels:
            self.assembly.label(key, value)
        return self.assembly.finish()

    def files(self, op: FileOp) -> None:
        assembly = self.assembly
        match op:
            case MakeAccount(name, uid):
                home = assembly.accounts.add(name, uid)
                if home:
                    assembly.write(home, f"home of {name}", assembly.accounts.ids(name))
            case MakeFolder(path, owner):
                target = assembly.absolute(path).rstrip("/") or "/"
                if not assembly.has_folder(target):
                    folder = [TarEntry.folder(target.strip("/"))]
                    assembly.write(folder, f"folder {target}", assembly.accounts.ids(owner))
            case MakeVenv(path, system_packages):
                self.make_venv(path, system_packages)
            case InstallPackages():
                self.install()

    def make_venv(self, path: str, system_packages: bool) -> None:
        if self.assembly.has_folder(f"{path}/bin"):
            return
        target = self.environments.install_target(self.assembly.facts, path)
        store, _, _ = self.builder.parts
        self.assembly.add([write_skeleton(target, store.folder, system_packages=system_packages)])
        self.assembly.folders |= {path.strip("/"), f"{path.strip('/')}/bin"}

    def install(self) -> None:
        """All Python layers together, where the first of them stands."""
        if self.installed:
            return
        self.installed = True
        room = len(self.base.manifest.layers) + len(self.plan.steps) + 1
        facts = self.assembly.facts
        made = self.environments.install(self.plan, self.request, self.platform, facts, self.emit, room=room)
        self.assembly.add(made.layers)
        for message in made.warnings:
            self.emit(Warning(self.request.name, message))

    def finish_accounts(self) -> None:
        if self.assembly.accounts.changed:
            self.assembly.write(self.assembly.accounts.entries(), "accounts")
