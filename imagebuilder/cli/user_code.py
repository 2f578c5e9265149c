"""Runs a Python file of the user's, and says what went wrong in it in the user's own terms."""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
import sysconfig
import traceback
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from imagebuilder.errors import ImageBuilderError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, ModuleType

_OURS = str(Path(__file__).parents[1]) + os.sep
_SHOWN_FRAMES = 6
T = TypeVar("T")


def run_file(path: Path, collect: Callable[[ModuleType], T]) -> T:
    """Run a file as a module, its folder first on `sys.path`, and collect what it defines.

    What it prints goes to standard error.

    Raises:
        SpecError: it cannot be run; the message names the file and line of the user's.
        ImageBuilderError: what the spec raised, the file and line in front of its message.
    """
    location = path.absolute()
    module = _module(location)
    code = _compile(path, location)
    with _neighbours(location.parent), _registered(module), _argv(str(path)), _stdout_to_stderr():
        try:
            exec(code, module.__dict__)  # noqa: S102 - running it is what was asked for
        except ImageBuilderError as error:
            frames = _own_frames(error, location)
            if frames:
                error.message = f"{_place(*frames[-1])}: {error.message}"
            raise
        except SystemExit as error:
            frames = _own_frames(error, location)
            raise SpecError(
                f"{_place(*frames[-1])}: the file ends the program with exit code {error.code or 0}",
                hint='put what is no image under `if __name__ == "__main__":`, which does not run here',
            ) from error
        except Exception as error:
            raise _problem(error, location) from error
        return collect(module)


def _compile(path: Path, location: Path) -> CodeType:
    # Not by way of importlib's bytecode cache: that takes an edit within one second for no edit.
    try:
        return compile(location.read_bytes(), str(location), "exec", dont_inherit=True)
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise _syntax_problem(error, location) from None
    except ValueError as error:  # NUL bytes, before Python 3.12
        raise SpecError(f"{path} is not Python: {error}") from None


def _module(location: Path) -> ModuleType:
    # A file called json.py must not take the place of a module that is in use.
    name = location.stem if location.stem not in sys.modules else f"imagebuilder_spec_{location.stem}"
    spec = ModuleSpec(name, SourceFileLoader(name, str(location)), origin=str(location))
    spec.has_location = True
    return importlib.util.module_from_spec(spec)


@contextmanager
def _registered(module: ModuleType) -> Iterator[None]:
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        if before is None:
            sys.modules.pop(module.__name__, None)
        else:
            sys.modules[module.__name__] = before


@contextmanager
def _neighbours(folder: Path) -> Iterator[None]:
    """Let a file import its neighbours, and the next file its own of the same names."""
    entry = str(folder)
    before = set(sys.modules)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(entry)
        new = [name for name in sys.modules if name not in before]
        tops = {name for name in new if "." not in name and _is_in(sys.modules[name], folder)}
        for name in new:
            if name.partition(".")[0] in tops:
                del sys.modules[name]


def _is_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    if file is None:
        return any(Path(path).parent == folder for path in getattr(module, "__path__", ()))
    path = Path(file)
    return (path.parent.parent if path.name == "__init__.py" else path.parent) == folder


@contextmanager
def _argv(name: str) -> Iterator[None]:
    before, sys.argv = sys.argv, [name]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """What the user's code prints, and what its subprocesses print, leaves standard output to us."""
    saved = None
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


def _own_frames(error: BaseException, location: Path) -> list[tuple[str, int, str]]:
    """The frames of the user's own files, the innermost last."""
    libraries = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    frames = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        theirs = file.startswith((*libraries, _OURS, "<")) and file != str(location)
        if not theirs:
            frames.append((file, line, frame.f_code.co_name))
    return frames


def _problem(error: Exception, location: Path) -> SpecError:
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return _syntax_problem(error, location)
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = _own_frames(error, location)
    message = f"{_place(*frames[-1])}: {words}"
    shown = frames if len(frames) <= _SHOWN_FRAMES else [*frames[:2], *frames[2 - _SHOWN_FRAMES :]]
    if len(frames) > 1:
        message += "".join(
            f"\n    {_place(*frame)}: {linecache.getline(frame[0], frame[1]).strip()}" for frame in shown
        )
    hint = None
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"a spec runs with {sys.executable}: install {error.name.partition('.')[0]} there, or correct the import"
    return SpecError(message, hint=hint)


def _syntax_problem(error: SyntaxError, location: Path) -> SpecError:
    message = f"{_place(error.filename or str(location), error.lineno or 1, '')}: {type(error).__name__}: {error.msg}"
    if error.text and error.text.strip():
        message += f"\n    {error.text.strip()}"
    return SpecError(message)


def _place(file: str, line: int, _function: str) -> str:
    try:
        shown = str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        shown = file
    return f"{shown}:{line}"
