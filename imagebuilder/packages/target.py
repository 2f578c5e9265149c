"""The Python that will run in an image: its tags and markers, computed without running it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from imagebuilder.errors import SpecError

if TYPE_CHECKING:
    from packaging.tags import Tag

    from imagebuilder.spec.platform import Platform
    from imagebuilder.spec.python_version import PythonVersion

# What `platform.machine()` says, which is what wheels are named by.
_MACHINES: Final = {
    ("amd64", ""): "x86_64",
    ("arm64", ""): "aarch64",
    ("arm", "v7"): "armv7l",
    ("386", ""): "i686",
    ("ppc64le", ""): "ppc64le",
    ("s390x", ""): "s390x",
    ("riscv64", ""): "riscv64",
}
# Names older than PEP 600 for some versions of glibc; the first two are of x86 alone.
_LEGACY: Final = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_X86: Final = ("x86_64", "i686")
# The glibc minor versions that uv has a platform of its own for.
_UV_GLIBC: Final = (17, 28, *range(31, 41))


@dataclass(frozen=True)
class PythonTarget:
    """A CPython with the GIL on Linux.

    `version` may have the patch level, which `requires-python` and some markers ask for; 0 is taken where it does not.
    One of `glibc` and `musl` is the version of the base's C library.
    """

    version: tuple[int, int] | tuple[int, int, int]
    platform: Platform
    glibc: tuple[int, int] | None = None
    musl: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.version[0] != 3 or len(self.version) not in (2, 3):
            raise SpecError(f"{self.version} is not a version of Python 3")
        if (self.glibc is None) == (self.musl is None):
            raise SpecError("a target has either glibc or musl", hint="write glibc=(2, 36) or musl=(1, 2)")
        if self.platform.os != "linux" or (self.platform.architecture, self.platform.variant) not in _MACHINES:
            raise SpecError(
                f"Python packages for {self.platform} have no wheels that are named by it",
                hint="choose one of linux/amd64, linux/arm64, linux/arm/v7",
            )

    @property
    def minor(self) -> PythonVersion:
        """The version without its patch level."""
        return self.version[0], self.version[1]

    @property
    def python(self) -> str:
        """`3.11`, for messages."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def full_version(self) -> str:
        """`3.11.9`."""
        return ".".join(map(str, (*self.version, 0)[:3]))

    @property
    def machine(self) -> str:
        """What `platform.machine()` says there."""
        return _MACHINES[self.platform.architecture, self.platform.variant]

    @property
    def libc(self) -> str:
        """`glibc 2.36`, for messages."""
        name, version = ("glibc", self.glibc) if self.glibc else ("musl", self.musl)
        return f"{name} {'.'.join(map(str, version or ()))}"

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform} with {self.libc}"

    @property
    def uv_platform(self) -> str | None:
        """What `--python-platform` of uv takes for it; None where uv does not know it."""
        machine = self.machine
        if machine == "riscv64":
            return "riscv64-unknown-linux" if self.glibc else None
        if machine not in ("x86_64", "aarch64"):
            return None
        if self.glibc is None:
            return f"{machine}-unknown-linux-musl"
        known = [minor for minor in _UV_GLIBC if (2, minor) <= self.glibc]
        return f"{machine}-manylinux_2_{known[-1]}" if known else None

    @cached_property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags, the most particular first (PEP 600, PEP 656)."""
        machine = self.machine
        if self.musl is not None:
            major, newest = self.musl
            names = [f"musllinux_{major}_{minor}_{machine}" for minor in range(newest, -1, -1)]
        else:
            assert self.glibc is not None
            names = []
            for minor in range(self.glibc[1], (4 if machine in _X86 else 16), -1):
                names.append(f"manylinux_2_{minor}_{machine}")
                if minor in _LEGACY:
                    names.append(f"{_LEGACY[minor]}_{machine}")
        return (f"linux_{machine}", *names)

    @cached_property
    def ranks(self) -> dict[Tag, int]:
        """Every tag that is compatible, with its place in the order of preference; 0 is the best."""
        from packaging.tags import compatible_tags, cpython_tags

        name = f"cp{self.version[0]}{self.version[1]}"
        tags = [
            *cpython_tags(self.minor, [name], self.platforms),
            *compatible_tags(self.minor, name, self.platforms),
        ]
        return {tag: rank for rank, tag in enumerate(dict.fromkeys(tags))}

    @cached_property
    def environment(self) -> dict[str, str]:
        """The values of environment markers (PEP 508); a kernel's release and version are not known, and empty."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full_version,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full_version,
            "python_version": self.python,
            "sys_platform": "linux",
        }
