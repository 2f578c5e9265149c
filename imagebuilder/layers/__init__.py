"""Layers of container images, assembled from files: no daemon, no root, the same bytes on every machine."""

from __future__ import annotations

from imagebuilder.layers.assemble import Plan, assemble
from imagebuilder.layers.bytecode import Compiler, assemble_bytecode
from imagebuilder.layers.files_layer import entries_layer, files_layer
from imagebuilder.layers.layer import MTIME, Layer, TarEntry
from imagebuilder.layers.layer_cache import LayerCache, layer_key
from imagebuilder.layers.pack import Sized, pack
from imagebuilder.layers.skeleton import write_skeleton
from imagebuilder.layers.target import InstallTarget
from imagebuilder.layers.wheel import Limits, WheelFile

__all__ = [
    "MTIME",
    "Compiler",
    "InstallTarget",
    "Layer",
    "LayerCache",
    "Limits",
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
    "write_skeleton",
]
