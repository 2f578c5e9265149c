"""Which wheels the Python layers of an image need, and those wheels on this disk; nothing is installed or run."""

from __future__ import annotations

from imagebuilder.packages.choose import choose
from imagebuilder.packages.direct_url import noted
from imagebuilder.packages.fetch import Fetcher
from imagebuilder.packages.locked import LockedFile, LockedPackage, NeedsBuild, NeedsInstaller, Resolution
from imagebuilder.packages.logins import Logins
from imagebuilder.packages.pinning import from_pins, to_pins
from imagebuilder.packages.python_step import PythonStep
from imagebuilder.packages.resolution_cache import ResolutionCache
from imagebuilder.packages.resolve import Resolver
from imagebuilder.packages.target import PythonTarget
from imagebuilder.packages.uv import Uv
from imagebuilder.packages.wheel_store import WheelStore

__all__ = [
    "Fetcher",
    "LockedFile",
    "LockedPackage",
    "Logins",
    "NeedsBuild",
    "NeedsInstaller",
    "PythonStep",
    "PythonTarget",
    "Resolution",
    "ResolutionCache",
    "Resolver",
    "Uv",
    "WheelStore",
    "choose",
    "from_pins",
    "noted",
    "to_pins",
]
