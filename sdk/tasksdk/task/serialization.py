"""What a template needs to know of the place where its task will run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagebuilder.spec.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.spec.image import Image

EXECUTOR, COPILOT = "tasksdk-execute", "tasksdk-copilot"


class SerializationContext(Value):
    """Settings of a serialization: `images` maps an image's identifier to its complete reference.

    `input_path`, `output_path` and `raw_data_path` fill the executor's arguments; by default they are the placeholders
    that a submitter fills in. `root_dir` is the folder from which modules are imported.
    """

    version: str = ""
    images: Mapping[str, str] = {}
    code_bundle: Any = None
    root_dir: str | None = None
    project: str = ""
    domain: str = ""
    org: str = ""
    env: Mapping[str, str] = {}
    input_path: str = "{{.input}}"
    output_path: str = "{{.outputPrefix}}"
    raw_data_path: str = "{{.rawOutputDataPrefix}}"
    executor: tuple[str, ...] = (EXECUTOR,)

    def __hash__(self) -> int:
        return hash((self.version, self.input_path))

    def reference(self, image: str | Image | None) -> str:
        """The complete reference of an image: that of `images`, else as it is written, else its own."""
        from tasksdk.task.image import reference_of

        return reference_of(image, self.images)


SerializationSettings = SerializationContext
