"""The task SDK: not released yet; this distribution reserves its place in the workspace."""
