"""Images and code for attempts that run in containers, each prepared once per process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tasksdk.errors import EngineError
from tasksdk.task.image import image_of

if TYPE_CHECKING:
    from tasksdk.code_bundle import CodeBundle

ENTRY_POINTS = "tasksdk.images"
AUTO = "auto"
# What fsspec needs for an address of this kind; for others it needs nothing.
_DRIVERS = {
    **dict.fromkeys(("s3", "s3a"), ("s3fs",)),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs",)),
    **dict.fromkeys(("abfs", "abfss", "adl", "az"), ("adlfs",)),
    **dict.fromkeys(("sftp", "ssh"), ("fsspec", "paramiko")),
}


class Images:
    """Makes sure that an image is there, through whatever build engine is installed."""

    def __init__(self) -> None:
        self._references: dict[Any, str] = {}
        self._bundles: dict[tuple[str, str], CodeBundle] = {}
        self._lock = threading.Lock()

    def reference(self, image: Any) -> str:
        """The complete reference of an image; one that is missing is built and pushed first.

        Raises:
            EngineError: no build engine is installed.
        """
        meant = image_of(image)
        if isinstance(meant, str):
            return meant
        with self._lock:
            if meant not in self._references:
                self._references[meant] = str(_builder()(meant))
            return self._references[meant]

    def named(self, image: Any) -> tuple[str | None, str]:
        """The identifier, where it is an image of a spec, and the reference."""
        reference, meant = self.reference(image), image_of(image)
        return (None if isinstance(meant, str) else meant.identifier), reference

    def after_fork(self) -> None:
        """Go on in a child of the process, where nobody else prepares anything."""
        self._lock = threading.Lock()

    def helper(self, wanted: str, address: str) -> str:
        """The reference of an image that moves files between an address and a container; "auto" is built for it."""
        if wanted != AUTO:
            return wanted
        from imagebuilder.spec.image import Image

        kind = address.partition("://")[0]
        packages = _DRIVERS.get(kind, ("fsspec",))
        image = Image.from_debian_base(name="tasksdk-copilot", install_sdk=True)
        return self.reference(image.with_pip_packages(*packages))

    def bundle(self, root: str, folder: str) -> CodeBundle:
        """The user's loaded code, in the run's folder."""
        from tasksdk.code_bundle import CodeBundle

        with self._lock:
            if (root, folder) not in self._bundles:
                self._bundles[root, folder] = CodeBundle.build(root, folder)
            return self._bundles[root, folder]


def _builder() -> Any:
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS):
        return point.load()
    raise EngineError("no image build engine is installed", hint="pip install 'imagebuilder[engine]'")
