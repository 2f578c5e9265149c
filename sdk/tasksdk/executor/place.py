"""Reading and writing the documents of an attempt, on this machine or at a URL."""

from __future__ import annotations

import os

from tasksdk.errors import UserInputError

INPUTS, OUTPUTS, ERROR, REPORT = "inputs.pb", "outputs.pb", "error.pb", "report.html"


def read(uri: str) -> bytes:
    """The bytes of a document.

    Raises:
        UserInputError: there is no such document.
    """
    path = local_path(uri)
    if path is None:
        from tasksdk.types import storage

        return storage.read(uri)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes longer to import
            return file.read()
    except FileNotFoundError:
        raise UserInputError(f"there is no document at {uri}") from None
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise UserInputError(f"the document at {uri} cannot be read: {error.strerror}") from None


def remove(uri: str) -> None:
    """Make sure that there is no document at the URI."""
    path = local_path(uri)
    if path is None:
        from tasksdk.types import storage

        storage.remove(uri)
        return
    try:
        os.unlink(path)  # noqa: PTH108 - pathlib takes longer to import
    except (FileNotFoundError, NotADirectoryError):
        return


def write(uri: str, data: bytes) -> None:
    """Write a document, wholly or not at all; missing folders are made."""
    path = local_path(uri)
    if path is None:
        from tasksdk.types import storage

        storage.write(uri, data)
        return
    partial = f"{path}.{os.getpid()}.partial"
    try:
        file = open(partial, "wb")  # noqa: PTH123, SIM115 - as above; closed below
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)  # noqa: PTH103, PTH120 - as above
        file = open(partial, "wb")  # noqa: PTH123, SIM115 - as above
    try:
        with file:
            file.write(data)
        os.replace(partial, path)  # noqa: PTH105 - as above
    except OSError:
        os.unlink(partial)  # noqa: PTH108 - as above
        raise


def absolute(uri: str) -> str:
    """The same document whatever folder is the current one; an empty one stays empty."""
    return uri if not uri or "://" in uri else os.path.abspath(uri)  # noqa: PTH100 - as above


def join(prefix: str, name: str) -> str:
    """The document of that name below a prefix."""
    return f"{prefix.rstrip('/')}/{name}"


def local_path(uri: str) -> str | None:
    """The path of a local URI; None for a URL."""
    if uri.startswith("file://"):
        return uri[len("file://") :]
    return None if "://" in uri else uri
