"""One platform's image in the making: layers on a base, and what its config says."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from imagebuilder.builders.direct.accounts import Accounts
from imagebuilder.errors import SpecError
from imagebuilder.layers import MTIME, Layer, TarEntry, entries_layer, files_layer
from imagebuilder.plan.ops import Copy, SetEntrypoint, SetEnv, SetLabels, SetUser, SetWorkdir

if TYPE_CHECKING:
    from pathlib import Path

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.layout import OCILayout
    from imagebuilder.sources.material import Material

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_ROOT = "0:0"
# Docker's names for what OCI has under its own; a manifest is of one kind throughout.
_OCI_LAYER = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}


class Assembly:
    """Takes operations in their order; `finish` writes the config and the manifest."""

    def __init__(self, base: Base, facts: BaseFacts, store: OCILayout) -> None:
        self._base = base
        self._store = store
        self.facts = facts
        self.accounts = Accounts(facts)
        self.layers: list[Layer] = []
        self.folders: set[str] = set()
        self._config: dict[str, Any] = copy.deepcopy(dict(base.config))
        self._run: dict[str, Any] = self._config.setdefault("config", {}) or {}
        self._config["config"] = self._run

    @property
    def folder(self) -> Path:
        """Where layers are written."""
        return self._store.folder

    @property
    def workdir(self) -> str:
        """The working directory so far."""
        return str(self._run.get("WorkingDir") or "/")

    def add(self, layers: list[Layer]) -> None:
        """Put finished layers on top."""
        self.layers += layers

    def write(self, entries: list[TarEntry], what: str, owner: tuple[int, int] = (0, 0)) -> None:
        """A layer of small generated entries, where there are any."""
        if entries:
            self.folders |= {entry.path for entry in entries if entry.kind.name == "FOLDER"}
            layer = entries_layer(entries, self.folder, what=what, owner=owner, existing=self.existing)
            self.layers.append(layer)

    @property
    def existing(self) -> frozenset[str]:
        """Folders that are there already, and keep the mode and owner that they have."""
        return frozenset(self.facts.folders | self.folders)

    def has_folder(self, path: str) -> bool:
        """Whether a path of the image is a folder so far."""
        return self.facts.has_folder(path) or path.strip("/") in self.folders

    def copy(self, op: Copy, material: Material) -> None:
        """Files of the user's."""
        target = self.absolute(op.dst)
        if material.entry and not target.endswith("/") and self.has_folder(target):
            target += "/"
        owner = self.accounts.ids(op.owner or _ROOT)
        what = f"copy to {target}"
        made = files_layer(material, target, self.folder, what=what, owner=owner, existing=self.existing)
        self.layers.append(made)
        place = target.strip("/") if not material.entry else target.strip("/").rpartition("/")[0]
        while place and place not in self.folders:
            self.folders.add(place)
            place = place.rpartition("/")[0]

    def absolute(self, path: str) -> str:
        """A path of the image, relative ones below the working directory."""
        if path.startswith("/"):
            return path
        below = path.removeprefix("./")
        return self.workdir.rstrip("/") + ("/" if below in (".", "") else f"/{below}")

    def settle(self, op: SetEnv | SetUser | SetWorkdir | SetLabels | SetEntrypoint) -> None:
        """Settings of the config."""
        match op:
            case SetEnv(variables, prepend):
                self._set_env(dict(variables), prepend)
            case SetUser(name):
                self.accounts.ids(name)
                self._run["User"] = name
            case SetWorkdir(path):
                target = self.absolute(path).rstrip("/") or "/"
                if not self.has_folder(target):
                    self.write([TarEntry.folder(target.strip("/"))], f"workdir {target}")
                self._run["WorkingDir"] = target
            case SetLabels(labels):
                self._run["Labels"] = {**(self._run.get("Labels") or {}), **dict(labels)}
            case SetEntrypoint(args):
                self._run["Entrypoint"] = list(args) or None
                self._run["Cmd"] = None
                if not args:
                    self._run.pop("Entrypoint")
                self._run.pop("Cmd")

    def label(self, key: str, value: str) -> None:
        """A label that says what the image was made from."""
        self.settle(SetLabels(((key, value),)))

    def finish(self) -> Descriptor:
        """Write config and manifest; the same image gives the same bytes wherever it is assembled."""
        created = datetime.fromtimestamp(MTIME, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        rootfs = self._config.get("rootfs") or {}
        diff_ids = [*(rootfs.get("diff_ids") or []), *(layer.diff_id for layer in self.layers)]
        own = [{"created": created, "created_by": layer.what, "comment": "imagebuilder"} for layer in self.layers]
        config = {
            key: value for key, value in self._config.items() if key not in ("container", "container_config", "id")
        }
        config |= {
            "created": created,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [*(self._config.get("history") or []), *own],
        }
        below = [
            {**layer.to_json(), "mediaType": _OCI_LAYER.get(layer.media_type, layer.media_type)}
            for layer in self._base.manifest.layers
        ]
        if len(diff_ids) != len(below) + len(self.layers):
            raise SpecError(f"the base {self._base.name} does not say what its layers hold")
        config_descriptor = self._store.write(_json(config), _CONFIG)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": config_descriptor.to_json(),
            "layers": [*below, *(layer.descriptor.to_json() for layer in self.layers)],
        }
        return self._store.write(_json(manifest), _MANIFEST)

    def _set_env(self, variables: dict[str, str], prepend: str | None) -> None:
        environ = dict(item.split("=", 1) for item in self._run.get("Env") or [] if "=" in item)
        if prepend is not None:
            old = environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            environ["PATH"] = f"{prepend}:{old}"
        environ |= variables
        self._run["Env"] = [f"{key}={value}" for key, value in environ.items()]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
