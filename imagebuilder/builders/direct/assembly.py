"""One platform's image in the making: layers on a base, and what its config says."""

from __future__ import annotations

import copy
import json
import posixpath
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from imagebuilder.builders.direct.accounts import Accounts
from imagebuilder.builders.direct.facts import Folder
from imagebuilder.builders.direct.ground import Ground
from imagebuilder.builders.direct.refusal import NotDirectError
from imagebuilder.builders.direct.tree import DEFAULT_PATH
from imagebuilder.errors import BuildError
from imagebuilder.layers import MTIME, Layer, TarEntry
from imagebuilder.layers.files import material_entries
from imagebuilder.layers.merge import merge, parents
from imagebuilder.layers.packing import LAYER_LIMIT
from imagebuilder.layers.tar_header import Kind
from imagebuilder.layers.writer import PINNED, write_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from imagebuilder.builders.direct.base import Base
    from imagebuilder.builders.direct.facts import BaseFacts
    from imagebuilder.builders.direct.remembered import Remembered
    from imagebuilder.plan.ops import Copy
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.layout import OCILayout
    from imagebuilder.registry.store import ContentStore
    from imagebuilder.sources.material import Material

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_ROOT = "0:0"
_ACCOUNT_FILES = ("etc/passwd", "etc/group")
# Docker's names for what OCI has under its own; a manifest is of one kind throughout.
_OCI_LAYER = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": (
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    ),
}
# Of the base's build, not of this image's.
_DROPPED = ("container", "container_config", "id", "parent")


class Assembly:
    """Takes operations in their order; `finish` writes the config and the manifest.

    Where a path leads through links of the base, entries are written where it leads to: a layer is unpacked by some
    without what is below it, and a folder would then hide the link. For the same reason every folder above an entry
    has one too, and says again what the base gave it.
    """

    def __init__(
        self, base: Base, facts: BaseFacts, store: OCILayout, check: Callable[[], None], remembered: Remembered
    ) -> None:
        self._base = base
        self._remembered = remembered
        self._store = store
        self._check = check
        self.facts = facts
        self.accounts = Accounts(facts)
        self.ground = Ground(facts)
        self.layers: list[Layer] = []
        self.shared: dict[str, ContentStore] = {}  # who has layers that need not be here, by their digest
        self.asked: dict[str, tuple[int, int]] = {}
        self._accounts_replaced = False
        self._config: dict[str, Any] = copy.deepcopy(dict(base.config))
        self._run: dict[str, Any] = copy.deepcopy(dict(base.settings))

    @property
    def workdir(self) -> str:
        """The working directory so far."""
        return str(self._run.get("WorkingDir") or "/")

    def add(self, layers: Iterable[Layer], folders: Iterable[str] = ()) -> None:
        """Put finished layers on top, which make these folders of root's."""
        self.layers += layers
        for path in folders:
            self.ground.add_folder(path.strip("/"))

    def has_folder(self, path: str) -> bool:
        """Whether a path of the image leads to a folder so far."""
        place = self.ground.leads(path)
        return place in ("", ".") or self.ground.folder(place) is not None

    def write(
        self,
        entries: Iterable[TarEntry],
        what: str,
        owner: tuple[int, int],
        above: tuple[int, int] = (0, 0),
        *,
        codec: str = PINNED,
        known_by: str | None = None,
    ) -> None:
        """A layer of entries, where anything is to be written; new folders above them belong to `above`.

        With `known_by`, which tells contents apart, the layer is remembered: the next image has it as it is.

        Raises:
            BuildError: a file would stand where a folder does.
        """
        found: dict[str, TarEntry] = {}
        leads: dict[str, str] = {}
        for entry in entries:
            if entry.path:
                folder, _, name = entry.path.rpartition("/")
                if folder not in leads:
                    leads[folder] = self.ground.leads(folder)
                self._place(replace(entry, path=f"{leads[folder]}/{name}".lstrip("/")), found, owner)
        if not found:
            return
        for path in list(found):
            self._write_parents(path, found, above)
        self.ground.note(found.values(), owner)
        listed = merge([found.values()], "\0")
        blobs = self._store.folder / "blobs" / "sha256"
        make = partial(write_layer, listed, blobs, what=what, owner=owner, mtime=MTIME, codec=codec, check=self._check)
        self.layers.append(self._remembered.layer(known_by, listed, owner, codec, make) if known_by else make())

    def _place(self, entry: TarEntry, found: dict[str, TarEntry], owner: tuple[int, int]) -> None:
        if entry.kind is Kind.FOLDER:
            if not self.has_folder(entry.path):
                found[entry.path] = replace(entry, owner=entry.owner or owner)
        elif self.ground.folder(entry.path) is not None:
            raise BuildError(f"/{entry.path} is a folder in the image, and a file is to stand there")
        else:
            found[entry.path] = entry

    def _write_parents(self, path: str, found: dict[str, TarEntry], above: tuple[int, int]) -> None:
        for folder in parents(path):
            if folder in found:
                return
            there = self.ground.folder(folder) or Folder(0o755, *above)
            found[folder] = TarEntry(folder, Kind.FOLDER, there.mode, owner=(there.uid, there.gid))

    # -- operations --------------------------------------------------------------------------------------------------

    def copy(self, op: Copy, material: Material, codec: str = PINNED) -> None:
        """Files of the user's."""
        target = self.absolute(op.dst)
        place = "/" + self.ground.leads(target)
        if material.entry and (target.endswith("/") or self.has_folder(place)):
            place = f"{place.rstrip('/')}/"
        owner = self.ids(op.owner or _ROOT)
        entries = list(material_entries(material, place))
        known_by = material.digest if op.sdk else None
        self.write(entries, op.shows or f"copy to {target}", owner, above=owner, codec=codec, known_by=known_by)
        self._accounts_replaced |= any(entry.path in _ACCOUNT_FILES for entry in entries)

    def ids(self, name: str) -> tuple[int, int]:
        """As `Accounts.ids`.

        Raises:
            NotDirectError: the user's own files say who is who.
        """
        if self._accounts_replaced and not name.replace(":", "").isdigit():
            raise NotDirectError("its sources bring accounts of their own")
        self.asked[name] = self.accounts.ids(name)
        return self.asked[name]

    def make_account(self, name: str, uid: int | None) -> None:
        """A user, where missing."""
        if self._accounts_replaced:
            raise NotDirectError("its sources bring accounts of their own")
        entries = self.accounts.add(name, uid)
        home = f"home/{name}"
        if self.has_folder(home):  # useradd leaves it as it is
            entries = [entry for entry in entries if entry.path in _ACCOUNT_FILES]
        self.write(entries, f"user {name}", (0, 0))

    def make_folder(self, path: str, owner: tuple[int, int], above: tuple[int, int]) -> None:
        """A folder, where missing."""
        target = self.ground.leads(self.absolute(path))
        self.write([TarEntry.folder(target)], f"folder /{target}", owner, above)

    def absolute(self, path: str) -> str:
        """A path of the image, relative ones below the working directory; a slash at its end stays."""
        whole = posixpath.normpath(posixpath.join(self.workdir, path)).replace("//", "/")
        return f"{whole.rstrip('/')}/" if path.endswith("/") else whole

    def set_env(self, variables: Mapping[str, str], prepend: str | None) -> None:
        """Variables; `prepend` is put before what PATH was."""
        environ = dict(item.partition("=")[::2] for item in self._run.get("Env") or [])
        if prepend is not None:
            environ["PATH"] = f"{prepend}:{environ.get('PATH') or DEFAULT_PATH}"
        environ.update(variables)
        self._run["Env"] = [f"{key}={value}" for key, value in environ.items()]

    def set_workdir(self, path: str) -> None:
        """The working directory, which is there."""
        self._run["WorkingDir"] = self.absolute(path).rstrip("/") or "/"

    def set_user(self, name: str) -> None:
        """Who runs the container; empty is root."""
        self._set("User", name)

    def set_entrypoint(self, args: tuple[str, ...]) -> None:
        """What the container runs, without the base's command."""
        self._set("Entrypoint", list(args))
        self._set("Cmd", [])

    def set_labels(self, labels: Mapping[str, str]) -> None:
        """Labels, beside the base's."""
        if labels:
            self._run["Labels"] = {**(self._run.get("Labels") or {}), **labels}

    def _set(self, key: str, value: str | list[str]) -> None:
        if value:
            self._run[key] = value
        else:
            self._run.pop(key, None)

    # -- the image ---------------------------------------------------------------------------------------------------

    def finish(self, annotations: Mapping[str, str]) -> Descriptor:
        """Write config and manifest; the same image gives the same bytes wherever it is assembled.

        Raises:
            NotDirectError: it would have more layers than Docker takes, or the base's config does not fit its layers.
        """
        below = [
            {**layer.to_json(), "mediaType": _OCI_LAYER.get(layer.media_type, layer.media_type)}
            for layer in self._base.manifest.layers
        ]
        if len(below) + len(self.layers) > LAYER_LIMIT:
            count = len(below) + len(self.layers)
            raise NotDirectError(f"it would have {count} layers, and {LAYER_LIMIT} are possible")
        config = self._store.write(_json(self._full_config(len(below))), _CONFIG)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": config.to_json(),
            "layers": [*below, *(layer.descriptor.to_json() for layer in self.layers)],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
        return self._store.write(_json(manifest), _MANIFEST)

    def _full_config(self, below: int) -> dict[str, Any]:
        created = datetime.fromtimestamp(MTIME, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        known = list((self._config.get("rootfs") or {}).get("diff_ids") or [])
        if len(known) != below:
            raise NotDirectError(f"the config of {self._base.name} does not say what its layers hold")
        own = [{"created": created, "created_by": layer.what, "comment": "imagebuilder"} for layer in self.layers]
        kept = {
            key: value
            for key, value in self._config.items()
            if key not in _DROPPED and not key.startswith("moby.buildkit.")
        }
        return {
            **kept,
            "created": created,
            "config": self._run,
            "rootfs": {"type": "layers", "diff_ids": [*known, *(layer.diff_id for layer in self.layers)]},
            "history": [*_history(self._config.get("history"), below, created), *own],
        }

    @property
    def folder(self) -> Path:
        """Where layers are written."""
        return self._store.folder


def _history(said: object, layers: int, created: str) -> list[dict[str, Any]]:
    """A base's history with an entry for each of its layers: readers count them (image-spec, "Image configuration")."""
    history = [entry for entry in said if isinstance(entry, dict)] if isinstance(said, list) else []
    count = sum(not entry.get("empty_layer") for entry in history)
    if count > layers:
        history, count = [], 0
    return [*history, *({"created": created, "created_by": "the base"} for _ in range(layers - count))]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
