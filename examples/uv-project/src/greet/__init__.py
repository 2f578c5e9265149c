"""Says how long ago something was."""

import humanize


def main() -> None:
    """Print it."""
    print(f"hello, {humanize.naturaldelta(4_000)} later")
