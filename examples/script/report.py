# /// script
# requires-python = ">=3.11"
# dependencies = ["humanize>=4.9,<5"]
# ///
"""Print a number of bytes the way people say it."""

import sys

import humanize

print(humanize.naturalsize(int(sys.argv[1]) if len(sys.argv) > 1 else 123_456_789))
