"""OCI distribution: ask a registry, and move content to it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagebuilder.registry.checker import Checker, FixedChecker, RegistryChecker, check, check_many
    from imagebuilder.registry.client import Client
    from imagebuilder.registry.copier import Copier, copy
    from imagebuilder.registry.copy_job import Copied
    from imagebuilder.registry.credential import Credential
    from imagebuilder.registry.credentials import Credentials, CredentialStore
    from imagebuilder.registry.descriptor import Descriptor
    from imagebuilder.registry.early_push import EarlyPush
    from imagebuilder.registry.file_store import FileStore
    from imagebuilder.registry.layout import OCILayout
    from imagebuilder.registry.manifest import Manifest
    from imagebuilder.registry.memory.fault import Fault
    from imagebuilder.registry.memory.server import MemoryRegistry
    from imagebuilder.registry.pusher import Pushed, PushEvent, push
    from imagebuilder.registry.referrers import Attached, attach, list_referrers
    from imagebuilder.registry.settings import HostSettings, RegistrySettings
    from imagebuilder.registry.store import ContentStore, MemoryStore
    from imagebuilder.registry.upload import PushAccess
    from imagebuilder.registry.verdict import Absent, Present, Unknown, Verdict
    from imagebuilder.registry.verify import verify_pushed

# Where each name lives: a module is loaded when its name is first used, so that a check does not pay for a push.
_NAMES = {
    "checker": ("Checker", "FixedChecker", "RegistryChecker", "check", "check_many"),
    "client": ("Client",),
    "copier": ("Copier", "copy"),
    "copy_job": ("Copied",),
    "credential": ("Credential",),
    "credentials": ("CredentialStore", "Credentials"),
    "descriptor": ("Descriptor",),
    "early_push": ("EarlyPush",),
    "file_store": ("FileStore",),
    "layout": ("OCILayout",),
    "manifest": ("Manifest",),
    "memory.server": ("MemoryRegistry",),
    "memory.fault": ("Fault",),
    "pusher": ("PushEvent", "Pushed", "push"),
    "referrers": ("Attached", "attach", "list_referrers"),
    "settings": ("HostSettings", "RegistrySettings"),
    "store": ("ContentStore", "MemoryStore"),
    "upload": ("PushAccess",),
    "verdict": ("Absent", "Present", "Unknown", "Verdict"),
    "verify": ("verify_pushed",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    "Absent",
    "Attached",
    "Checker",
    "Client",
    "ContentStore",
    "Copied",
    "Copier",
    "Credential",
    "CredentialStore",
    "Credentials",
    "Descriptor",
    "EarlyPush",
    "Fault",
    "FileStore",
    "FixedChecker",
    "HostSettings",
    "Manifest",
    "MemoryRegistry",
    "MemoryStore",
    "OCILayout",
    "Present",
    "PushAccess",
    "PushEvent",
    "Pushed",
    "RegistryChecker",
    "RegistrySettings",
    "Unknown",
    "Verdict",
    "attach",
    "check",
    "check_many",
    "copy",
    "list_referrers",
    "push",
    "verify_pushed",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
