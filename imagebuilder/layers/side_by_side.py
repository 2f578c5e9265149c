"""The same work on several things at a time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Made = TypeVar("Made")


def side_by_side(work: Callable[[Item], Made], items: Sequence[Item], workers: int | None) -> list[Made]:
    """What `work` makes of each item, in their order; the first failure keeps what has not begun from beginning."""
    with ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="layer") as pool:
        made = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in made]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
