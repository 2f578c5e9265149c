"""The commands by name; a command's module is imported when it is used, its one line of help is known before."""

from __future__ import annotations

from importlib import import_module

import click

from imagebuilder.errors import InputError

_COMMANDS = {
    "build": "Build what is missing of a spec's images, and publish it.",
    "check": "Say whether images are in their registries.",
    "copy": "Copy images from one registry to another, byte for byte.",
    "rebase": "Put an assembled image on a newer base, without building it.",
    "warm": "Make several registries hold all of a spec's images.",
    "attach": "Attach a file to an image in its registry, such as an SBOM.",
    "lock": "Pin the bases and packages of a spec's images beside it.",
    "identify": "Print the identifiers of a spec's images.",
    "render": "Print the Dockerfile of an image, or write its build context.",
    "plan": "Say who makes each layer of an image, and why.",
    "verify": "Derive a pushed image anew, and say whether it is the same to the byte.",
    "explain": "Say which layer of two images differs, and why.",
    "cache": "Show what is kept on this disk, and remove it.",
    "doctor": "Say what is reachable, what is missing, and what to type.",
}
_EPILOG = """\b
Exit codes:
  0    done
  1    the work failed, an image is absent, or two images differ
  2    what you wrote is wrong: the spec, a flag, the configuration
  3    could not find out: a registry or the builder is out of reach
  130  interrupted
"""


class UsageProblemError(InputError):
    """A command line that cannot be understood."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"imagebuilder.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from imagebuilder import __version__

        click.echo(f"imagebuild {__version__}")
        ctx.exit()


@click.command(
    cls=_Lazy,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def commands(ctx: click.Context) -> None:
    """From a Python Image spec to a pushed, verified container image."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
