"""Where `imagebuild` starts: runs a command, turns errors into words and exit codes."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from imagebuilder.errors import ImageBuilderError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

INTERRUPTED = 130
CLOSED_PIPE = 128 + signal.SIGPIPE  # as a shell tells of a program that nobody reads from any more
_DEFECT = 1
_PATIENCE = 3  # the interrupt at which we leave without waiting for builds to end


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and raises nothing."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        with _interruptible():
            code = _run(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail(
            "Interrupted", "interrupted: all work was stopped, no tag was moved halfway", None, INTERRUPTED, as_json
        )
    except BrokenPipeError:
        _close_stdout()
        return CLOSED_PIPE
    except ImageBuilderError as error:
        _debug()
        return _fail(type(error).__name__, error.message, error.hint, error.exit_code, as_json)
    except Exception as error:  # noqa: BLE001 - the one place where a defect becomes words
        _debug()
        hint = "please report it, with what IMAGEBUILDER_DEBUG=1 shows"
        return _fail("InternalError", f"internal error: {type(error).__name__}: {error}", hint, _DEFECT, as_json)
    return code


def _run(arguments: list[str]) -> int:
    try:
        import click
    except ImportError:
        raise MissingDependencyError(
            "the command line needs click, which is not installed", hint='run pip install "imagebuilder[engine]"'
        ) from None
    from imagebuilder.cli.group import UsageProblemError, commands

    try:
        code = commands.main(arguments, prog_name="imagebuild", standalone_mode=False)
    except SystemExit:
        raise BrokenPipeError from None  # not standalone, click exits by itself for a closed pipe alone
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.UsageError as error:
        where = f"\n{error.ctx.get_usage()}" if error.ctx else ""
        path = error.ctx.command_path if error.ctx else "imagebuild"
        raise UsageProblemError(f"{error.format_message()}{where}", hint=f"{path} --help shows what there is") from None
    except click.ClickException as error:
        raise UsageProblemError(error.format_message()) from None
    return code if isinstance(code, int) else 0


def _fail(kind: str, message: str, hint: str | None, code: int, as_json: bool) -> int:
    with suppress(BrokenPipeError, ValueError):
        print(_words(message, hint), file=sys.stderr, flush=True)  # noqa: T201 - a face prints
    if as_json:
        import json

        document = {"error": {"kind": kind, "message": message, "hint": hint, "exit_code": code}}
        try:
            print(json.dumps(document, ensure_ascii=False), flush=True)  # noqa: T201
        except BrokenPipeError:
            _close_stdout()
    return code


def _words(message: str, hint: str | None) -> str:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    red, cyan, plain = ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") if coloured else ("", "", "")
    text = f"{red}error:{plain} {message}"
    if hint:
        indented = hint.replace("\n", "\n        ")
        text += f"\n  {cyan}hint:{plain} {indented}"
    return text


def _debug() -> None:
    if os.environ.get("IMAGEBUILDER_DEBUG"):
        import traceback

        traceback.print_exc()


def _close_stdout() -> None:
    """Let nothing complain about the closed pipe when the interpreter ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does; further ones wait with it for builds to be stopped."""
    seen = 0

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            raise KeyboardInterrupt
        if seen >= _PATIENCE:
            _leave()

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        with suppress(ValueError):  # not the main thread
            if number not in before and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave() -> NoReturn:
    os._exit(INTERRUPTED)
