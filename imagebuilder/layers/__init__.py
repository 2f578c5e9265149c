"""Layers of container images, assembled from files: no daemon, no root, the same bytes on every machine.

A `WheelFile` is a wheel that was checked; an `InstallTarget` says where in the image wheels go; a `Layer` is a blob in
an OCI layout. `assemble` makes the one into the other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagebuilder.layers.assembly import Plan, assemble
    from imagebuilder.layers.bytecode import Compiler, assemble_bytecode
    from imagebuilder.layers.files import entries_layer, files_layer
    from imagebuilder.layers.layer import MTIME, Layer, TarEntry
    from imagebuilder.layers.layer_cache import LayerCache, layer_key, stack_key
    from imagebuilder.layers.packing import Sized, pack
    from imagebuilder.layers.pipeline import Pipeline
    from imagebuilder.layers.skeleton import write_skeleton
    from imagebuilder.layers.target import InstallTarget
    from imagebuilder.layers.wheel import Limits, WheelFile

# Where each name lives: a build that finds its wheels' layers in a cache loads nothing that reads wheels.
_NAMES = {
    "assembly": ("Plan", "assemble"),
    "bytecode": ("Compiler", "assemble_bytecode"),
    "files": ("entries_layer", "files_layer"),
    "layer": ("MTIME", "Layer", "TarEntry"),
    "layer_cache": ("LayerCache", "layer_key", "stack_key"),
    "packing": ("Sized", "pack"),
    "pipeline": ("Pipeline",),
    "skeleton": ("write_skeleton",),
    "target": ("InstallTarget",),
    "wheel": ("Limits", "WheelFile"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    "MTIME",
    "Compiler",
    "InstallTarget",
    "Layer",
    "LayerCache",
    "Limits",
    "Pipeline",
    "Plan",
    "Sized",
    "TarEntry",
    "WheelFile",
    "assemble",
    "assemble_bytecode",
    "entries_layer",
    "files_layer",
    "layer_key",
    "pack",
    "stack_key",
    "write_skeleton",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
