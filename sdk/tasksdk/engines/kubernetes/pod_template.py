"""The pod spec that users give, and how the task's own settings come over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError

if TYPE_CHECKING:
    from tasksdk.values.pod import PodTemplate

PRIMARY = "primary"
_PRIMARY_ANNOTATION = "primary_container_name"
_BY_NAME = {"containers", "env", "volumes"}


class PodBase(Value):
    """A pod before the task's own settings; `container` is the name of the one that runs the task."""

    spec: Mapping[str, Any] = {}
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    container: str = PRIMARY


def base_of(template: PodTemplate | str | None) -> PodBase | str:
    """The pod that a template describes; a string that is no YAML is the name of a PodTemplate of the cluster."""
    if template is None:
        return PodBase()
    if isinstance(template, str):
        return base_from_mapping(_yaml(template)) if ":" in template else template
    base = base_from_mapping(template.as_mapping(), template.primary_container_name)
    return base.replace(
        labels={**base.labels, **(template.labels or {})},
        annotations={**base.annotations, **(template.annotations or {})},
    )


def base_from_mapping(given: Mapping[str, Any], container: str | None = None) -> PodBase:
    """Read a pod spec, a pod, or a PodTemplate."""
    outer = given.get("template", given)
    spec = outer.get("spec", outer) if "containers" not in outer else outer
    metadata = outer.get("metadata") or {} if spec is not outer else {}
    annotations = dict(metadata.get("annotations") or {})
    names = [one.get("name") for one in spec.get("containers") or ()]
    wanted = container or annotations.get(_PRIMARY_ANNOTATION) or PRIMARY
    if container is None and wanted not in names and len(names) == 1:
        wanted = names[0]
    spec = {name: value for name, value in spec.items() if name not in {"apiVersion", "kind", "metadata", "status"}}
    return PodBase(spec, dict(metadata.get("labels") or {}), annotations, wanted)


def merged(base: Any, over: Any, name: str = "") -> Any:
    """`over` on top of `base`: tables key by key, lists of named things by name, other lists one after the other."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        keys = [*base, *(key for key in over if key not in base)]
        return {key: merged(base.get(key), over.get(key), key) for key in keys}
    if over is None:
        return base
    if isinstance(base, list) and isinstance(over, list) and name not in {"command", "args"}:
        if name not in _BY_NAME:
            return [*base, *(one for one in over if one not in base)]
        ours = {one["name"]: one for one in over}
        if name == "containers":
            both = [merged(one, ours.pop(one.get("name"), None)) for one in base]
        else:  # a variable has one source, a volume one kind
            both = [one for one in base if one.get("name") not in ours]
        return [*both, *ours.values()]
    return over


def _yaml(text: str) -> Mapping[str, Any]:
    import yaml  # type: ignore[import-untyped]  # it comes with the client, without types

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TaskDefinitionError(f"pod_template: this is not YAML: {error}") from None
    if not isinstance(found, Mapping):
        raise TaskDefinitionError(f"pod_template: {text!r} is neither a pod spec nor the name of a PodTemplate")
    return found
