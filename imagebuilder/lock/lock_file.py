"""The lock file: TOML that people review, one entry for each image, always in the same order."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from imagebuilder.errors import SourceError, SpecError, WorkError
from imagebuilder.lock.pins import ImageLock, Input, PinnedPackage, PlatformPins
from imagebuilder.sources.toml_fields import Fields
from imagebuilder.sources.toml_text import line
from imagebuilder.spec.script import load_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME: Final = "imagebuilder.lock"
_VERSION: Final = 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z|sha512:[0-9a-f]{128}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
_TOOLS: Final = "build-tools-until"
_RELOCK: Final = "write it anew with `imagebuild lock`"
_HEADER: Final = """\
# What the images of the specs beside this file are made from, to the byte. Written by `imagebuild lock`; keep it in
# version control, and do not edit it. `imagebuild lock --upgrade` takes newer versions, `--upgrade-package` newer ones
# of a package.
"""
# The order in which a package's keys are written; others come behind.
_FIRST: Final = ("name", "version", "step")


@dataclass(frozen=True)
class LockFile:
    """The entries of one file; `path` is where it is, whether it is there or not."""

    path: Path
    images: tuple[ImageLock, ...] = ()
    exists: bool = field(default=True, compare=False)

    @classmethod
    def read(cls, path: Path) -> LockFile:
        """Read a file; one that is not there has no entries.

        Raises:
            SourceError: it cannot be read, or is no lock.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(path, exists=False)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SourceError(f"{path} cannot be read: {why}") from None
        return cls(path, parse(text, str(path)))

    def find(self, spec: str, name: str) -> ImageLock | None:
        """The entry of a spec's variable."""
        return next((one for one in self.images if (one.spec, one.name) == (spec, name)), None)

    def published_as(self, image: str) -> tuple[ImageLock, ...]:
        """The entries of the images that are published under a name."""
        return tuple(one for one in self.images if one.image == image)

    def with_images(self, made: Iterable[ImageLock]) -> LockFile:
        """The file with some entries new."""
        kept = {(one.spec, one.name): one for one in (*self.images, *made)}
        return LockFile(self.path, tuple(kept[key] for key in sorted(kept)))

    def write(self) -> None:
        """Put the file in its place, whole.

        Raises:
            WorkError: it cannot be written.
        """
        part = None
        try:
            with tempfile.NamedTemporaryFile(
                "w", dir=self.path.parent, prefix=f".{self.path.name}-", delete=False, encoding="utf-8"
            ) as file:
                part = Path(file.name)
                file.write(render(self.images))
            part.chmod(0o644)
            part.replace(self.path)
        except BaseException as error:
            if part is not None:
                part.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise WorkError(
                    f"{self.path} cannot be written: {error.strerror}", hint="it is written beside the spec"
                ) from None
            raise


def parse(text: str, where: str) -> tuple[ImageLock, ...]:
    """Read a lock's text; `where` names it in messages.

    Raises:
        SourceError: it is no lock, or one of a newer version.
    """
    try:
        data = Fields(load_toml(text, where), where, _RELOCK)
    except SpecError as error:
        raise SourceError(error.message, hint=_RELOCK) from None
    version = data.values.get("version")
    if version != _VERSION:
        raise SourceError(
            f"{where} has version = {version!r}, and only {_VERSION} is understood", hint=f"{_RELOCK}, or upgrade"
        )
    return tuple(_image(one) for one in data.tables("image"))


def _image(data: Fields) -> ImageLock:
    name = data.text("name")
    data = data.at(f"image {name!r}")
    return ImageLock(
        spec=data.text("spec"),
        name=name,
        base=data.text("base"),
        digest=_digest(data, "digest"),
        inputs=tuple(
            Input(one.text("title"), one.text("digest"), one.texts("requires"))
            for one in data.tables("input", required=True)
        ),
        platforms=tuple(_platform(one) for one in data.tables("platform", required=True)),
        image=data.text("image", ""),
        form=_form(data),
        sdk=_digest(data, "sdk") if "sdk" in data.values else "",
    )


def _platform(data: Fields) -> PlatformPins:
    name = data.text("name")
    data = data.at(f"platform {name!r}")
    return PlatformPins(
        name,
        _digest(data, "base"),
        data.text("machine", ""),
        data.text("bytecode", ""),
        data.text("unpinned", ""),
        tuple(_package(one) for one in data.tables("package")),
        _time(data, _TOOLS),
    )


def _package(data: Fields) -> PinnedPackage:
    data = data.at(f"package {data.text('name')!r}")
    step = data.values.get("step")
    if type(step) is not int or step < 1:
        raise data.error(f"has step = {step!r}, which is no number of a layer")
    data.text("version", "")
    return PinnedPackage(step, {key: value for key, value in data.values.items() if key != "step"})


def _form(data: Fields) -> int:
    form = data.values.get("form")
    if type(form) is not int:
        raise data.error(f"has form = {form!r}, which is no number")
    return form


def _time(data: Fields, key: str) -> str:
    text = data.text(key, "")
    if text and not _TIME.match(text):
        raise data.error(f"has {key} = {text[:100]!r}, which is no time")
    return text


def _digest(data: Fields, key: str) -> str:
    text = data.text(key)
    if not _DIGEST.match(text):
        raise data.error(f"has {key} = {text[:100]!r}, which is no digest")
    return text


def render(images: tuple[ImageLock, ...]) -> str:
    """Write a lock that `parse` reads back, the same text for the same entries."""
    return _HEADER + "".join(f"{text}\n" for text in _lines(images))


def _lines(images: tuple[ImageLock, ...]) -> Iterator[str]:
    yield line("version", _VERSION)
    for one in images:
        yield from _section(
            "image",
            {
                "name": one.name,
                "image": one.image,
                "spec": one.spec,
                "form": one.form,
                "base": one.base,
                "digest": one.digest,
                "sdk": one.sdk,
            },
        )
        for part in one.inputs:
            requires = list(part.requires)
            yield from _section("image.input", {"title": part.title, "digest": part.digest, "requires": requires})
        for platform in one.platforms:
            yield from _section(
                "image.platform",
                {
                    "name": platform.platform,
                    "base": platform.base,
                    "machine": platform.machine,
                    "bytecode": platform.bytecode,
                    "unpinned": platform.unpinned,
                    _TOOLS: platform.tools,
                },
            )
            for package in platform.packages:
                table = {**package.table, "step": package.step}
                order = (*_FIRST, *sorted(table.keys() - set(_FIRST)))
                yield from _section("image.platform.package", {key: table[key] for key in order if key in table})


def _section(header: str, table: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"[[{header}]]"
    yield from (line(key, value) for key, value in table.items() if value not in ("", []))
