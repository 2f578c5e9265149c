"""What an image runs on: `os/architecture[/variant]`."""

from __future__ import annotations

import re

from imagebuilder.errors import SpecError
from imagebuilder.spec.value import Value

# Names other tools use for an architecture, normalised as containerd's platforms package does.
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "i386": "386",
    "i686": "386",
}
_PART = r"[a-z0-9][a-z0-9_.-]*\Z"


class Platform(Value):
    """A normalised platform: aarch64 is arm64, arm64/v8 is arm64, arm is arm/v7, amd64/v1 is amd64."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse `linux/amd64`, `linux/arm/v7`; the operating system may be left out.

        Raises:
            SpecError: the text is not a platform.
        """
        parts = text.strip().lower().split("/")
        if len(parts) == 1 and parts != ["linux"]:
            parts = ["linux", *parts]
        if not 2 <= len(parts) <= 3 or not all(re.match(_PART, part) for part in parts):
            raise SpecError(f"{text!r} is not a platform", hint="write it as linux/amd64 or linux/arm64")
        return cls.of(*parts)

    @classmethod
    def of(cls, os: str, architecture: str, variant: str = "") -> Platform:
        """Normalise what a manifest or a config says."""
        architecture = _ARCHITECTURES.get(architecture.lower(), architecture.lower())
        variant = variant.lower()
        if architecture == "arm" and not variant:
            variant = "v7"
        if (architecture, variant) in {("arm64", "v8"), ("amd64", "v1")}:
            variant = ""
        return cls(os.lower(), architecture, variant)

    @property
    def is_known(self) -> bool:
        """False for `unknown/unknown`, which marks an attestation rather than an image."""
        return "unknown" not in (self.os, self.architecture)

    def __lt__(self, other: Platform) -> bool:
        return str(self) < str(other)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


LINUX_AMD64 = Platform("linux", "amd64")
