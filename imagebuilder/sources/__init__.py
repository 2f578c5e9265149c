"""The only reader of the user's files: one walk gives one immutable snapshot, for the identity and for the build."""

from imagebuilder.sources.ignore import DEFAULT_PATTERNS, read_ignore_file
from imagebuilder.sources.snapshot import Entry, File, Folder, Link, Snapshot, diff
from imagebuilder.sources.sources import Sources
from imagebuilder.sources.stage import stage, stage_file
from imagebuilder.sources.stat_cache import StatCache
from imagebuilder.sources.walk import snapshot_file, take_snapshot

__all__ = [
    "DEFAULT_PATTERNS",
    "Entry",
    "File",
    "Folder",
    "Link",
    "Snapshot",
    "Sources",
    "StatCache",
    "diff",
    "read_ignore_file",
    "snapshot_file",
    "stage",
    "stage_file",
    "take_snapshot",
]
