"""What an assembled image says about how it was put together, so that it can be put on another base."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from imagebuilder.builders.direct.facts import Folder
from imagebuilder.plan.ops import (
    CheckPython,
    Copy,
    Exec,
    InstallPackages,
    MakeAccount,
    MakeFolder,
    MakeVenv,
    SetEntrypoint,
    SetEnv,
    SetLabels,
    SetUser,
    SetWorkdir,
    Step,
)
from imagebuilder.spec.layers import LABEL_PREFIX, PipPackages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.builders.direct.ground import Fact
    from imagebuilder.plan.ops import FileOp, Op

# OCI image-spec, "Pre-Defined Annotation Keys".
BASE_NAME: Final = "org.opencontainers.image.base.name"
BASE_DIGEST: Final = "org.opencontainers.image.base.digest"
ASSEMBLY: Final = f"{LABEL_PREFIX}assembly"
_VERSION: Final = 1
_OPS: Final[dict[str, type[Any]]] = {
    "account": MakeAccount,
    "python": CheckPython,
    "folder": MakeFolder,
    "venv": MakeVenv,
    "env": SetEnv,
    "user": SetUser,
    "workdir": SetWorkdir,
    "labels": SetLabels,
    "entrypoint": SetEntrypoint,
}
_NAMES: Final = {kind: name for name, kind in _OPS.items()}


@dataclass(frozen=True)
class Python:
    """What packages were chosen for: Python's minor version, the C library, and what the base had installed."""

    version: tuple[int, int]
    libc: tuple[str, int, int]
    present: Mapping[str, str]

    @classmethod
    def parse(cls, value: Any) -> Python:
        """What `asdict` made, out of JSON."""
        kind, major, minor = value["libc"]
        first, second = value["version"]
        return cls((int(first), int(second)), (str(kind), int(major), int(minor)), dict(value["present"]))


@dataclass(frozen=True)
class Laid:
    """The layers of one operation: how many, where their files go, and what their bytes depend on below them.

    `seen`, `ours`: as of `Ground`; `ids` are the users that were looked up.
    """

    count: int
    place: str = ""
    seen: Mapping[str, Fact] = field(default_factory=dict)
    ours: Mapping[str, Fact] = field(default_factory=dict)
    ids: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    python: Python | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what is empty."""
        found: dict[str, Any] = {key: value for key, value in asdict(self).items() if value}
        return found

    @classmethod
    def parse(cls, value: Any) -> Laid:
        """What `to_json` made."""
        python = value.get("python")
        return cls(
            int(value.get("count", 0)),
            str(value.get("place", "")),
            _facts(value.get("seen", {})),
            _facts(value.get("ours", {})),
            {str(name): (int(uid), int(gid)) for name, (uid, gid) in value.get("ids", {}).items()},
            Python.parse(python) if python else None,
        )


@dataclass(frozen=True)
class Record:
    """An assembly, replayable: `below` is how many layers the base has.

    Of `steps` only what they mean for files and settings is kept, not where files and packages came from: what is
    written there may have a credential in it.
    """

    below: int
    base_user: str | None
    steps: tuple[Step, ...]
    laid: tuple[Laid, ...]

    def to_json(self) -> str:
        """The same record gives the same text."""
        value = {
            "version": _VERSION,
            "below": self.below,
            "user": self.base_user,
            "steps": [[step.layer, *_encode(step.op)] for step in self.steps],
            "laid": [laid.to_json() for laid in self.laid],
        }
        return json.dumps(value, separators=(",", ":"), sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> Record:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is anything else, or of a later version.
        """
        try:
            value = json.loads(text)
            if value["version"] != _VERSION:
                raise ValueError(f"its record has version {value['version']}")
            return cls(
                int(value["below"]),
                value["user"],
                tuple(Step(int(layer), _decode(*rest)) for layer, *rest in value["steps"]),
                tuple(map(Laid.parse, value["laid"])),
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"its record is broken: {error!r}") from None


def _encode(op: Op | FileOp) -> list[Any]:
    match op:
        case Exec():
            return ["exec", op.user, [_encode(part) for part in op.files_only]]
        case Copy():
            return ["copy", op.dst, op.owner]
        case InstallPackages():
            return ["packages"]
        case _:
            return [_NAMES[type(op)], *astuple(op)]


def _decode(kind: str, *rest: Any) -> Any:
    match kind:
        case "exec":
            user, parts = rest
            return Exec("", (), "", user, files_only=tuple(_decode(*part) for part in parts))
        case "copy":
            dst, owner = rest
            return Copy("", "", str(dst), owner)
        case "packages":
            return InstallPackages(PipPackages(()), None)
        case _:
            chosen = _OPS[kind]
            return chosen(*(_tuples(item) for item, _ in zip(rest, fields(chosen), strict=True)))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _facts(value: Any) -> dict[str, Fact]:
    return {str(path): Folder(*map(int, fact)) if isinstance(fact, list) else fact for path, fact in value.items()}
