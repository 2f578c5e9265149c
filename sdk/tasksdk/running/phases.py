"""The phases of an action in the record of runs."""

from __future__ import annotations

SUCCEEDED, FAILED, RUNNING, ABORTED, TIMED_OUT = "succeeded", "failed", "running", "aborted", "timed_out"
