"""The documents that an attempt leaves below its output prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasksdk.executor import place

if TYPE_CHECKING:
    from tasksdk.executor.failure import Failure


def clear(outputs: str) -> None:
    """Remove those of an earlier process of the same attempt: a client must not read them as this one's."""
    for name in (place.OUTPUTS, place.ERROR):
        place.remove(place.join(outputs, name))


def tell(outputs: str, failure: Failure) -> Failure:
    """Write the error document; the failure, which says so where that cannot be written."""
    uri = place.join(outputs, place.ERROR)
    try:
        place.remove(place.join(outputs, place.OUTPUTS))
        place.write(uri, failure.document())
    except Exception as error:  # noqa: BLE001 - whatever a file system does, the exit code and the log still tell
        failure.message = f"{failure.message.rstrip()}\nthe error document cannot be written to {uri}: {error}\n"
    return failure
