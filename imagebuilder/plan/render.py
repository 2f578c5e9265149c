"""Writes a plan as a Dockerfile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.errors import SpecError
from imagebuilder.plan.ops import (
    CACHE_DIR,
    FILES_DIR,
    RUN_DIR,
    TOOLS_DIR,
    Copy,
    Exec,
    Op,
    Plan,
    SetEntrypoint,
    SetEnv,
    SetLabels,
    SetUser,
    SetWorkdir,
)
from imagebuilder.plan.quote import heredoc, json_exact, json_word, mount, only_source, pair, word
from imagebuilder.plan.templates import render_template

if TYPE_CHECKING:
    from collections.abc import Iterator

# What BuildKit's parser reads as one line, and what Linux passes to a shell as one argument (MAX_ARG_STRLEN).
_LINE_LIMIT = 65_535
_SCRIPT_LIMIT = 131_071

SITE_SECRET = "imagebuilder-site"  # noqa: S105 - the id of a mount
CA_SECRET = "imagebuilder-ca"  # noqa: S105
TOOLS_STAGE = "imagebuilder-tools"
SITE_FILE = f"{RUN_DIR}/site.sh"
CA_FILE = f"{RUN_DIR}/ca-certificates.crt"


@dataclass(frozen=True)
class Rendered:
    """A Dockerfile, and for each of its numbered steps in the last stage the layer and what it shows.

    BuildKit numbers FROM and every instruction that makes a file system layer; `numbered[0]` is FROM.
    """

    dockerfile: str
    numbered: tuple[tuple[int, str], ...]
    needs_tools: bool


def render(plan: Plan, *, site: bool = False, ca: bool = False, bytecode: bool = True) -> Rendered:
    """Write a plan; `site` and `ca` mount what a site needs only while building into every step that runs.

    With `bytecode` the steps that install packages compile their modules.
    """
    renderer = _Renderer(None if plan.base_user is None else plan.base_user or "root", site, ca, bytecode)
    blocks: list[dict[str, object]] = []
    numbered = [(0, f"FROM {plan.base}")]
    layer = -1
    for step in plan.steps:
        if step.layer != layer:
            layer = step.layer
            title = f"{f'layer {layer}: ' if layer else ''}{plan.titles[layer]}"
            blocks.append({"title": _comment(title), "instructions": []})
        instructions = list(renderer.instructions(step.op))
        _check_lengths(instructions, blocks[-1]["title"])
        blocks[-1]["instructions"] += instructions  # type: ignore[operator]
        if isinstance(step.op, (Exec, Copy, SetWorkdir)):
            numbered.append((step.layer, shows(step.op)))
    ending = list(renderer.restore_user())
    if ending:
        blocks.append({"title": "who runs the container", "instructions": ending})
    tools = any(isinstance(step.op, Exec) and step.op.tools for step in plan.steps)
    secrets = dict.fromkeys(mount.id for step in plan.steps if isinstance(step.op, Exec) for mount in step.op.secrets)
    usage = [f"It needs --secret id={name},src=FILE" for name in secrets]
    text = render_template("Dockerfile.j2", base=plan.base, blocks=blocks, tools=tools, usage=usage)
    return Rendered(text.rstrip("\n") + "\n", tuple(numbered), tools)


def _check_lengths(instructions: list[str], title: object) -> None:
    for instruction in instructions:
        longest = max(len(line.encode()) for line in instruction.split("\n"))
        if longest > _LINE_LIMIT or len(instruction.encode()) > _SCRIPT_LIMIT:
            raise SpecError(
                f"{title} is too long for one step of a build",
                hint="divide it into several, or put it into a file, with_source_file(...), and run or read that",
            )


def shows(op: Op) -> str:
    """What people are told a step does."""
    match op:
        case Exec():
            return op.shows
        case Copy(_, _, dst):
            return op.shows or f"copy to {dst}"
        case SetWorkdir(path):
            return f"workdir {path}"
        case _:
            return type(op).__name__


@dataclass
class _Renderer:
    user: str | None  # who the instruction before ran as; None where the base decides
    site: bool
    ca: bool
    bytecode: bool

    def __post_init__(self) -> None:
        self.runtime_user = self.user

    def instructions(self, op: Op) -> Iterator[str]:  # noqa: C901 - one branch per operation
        match op:
            case Exec():
                yield from self.switch_user(op.user or "root")
                yield run_instruction(op, site=self.site, ca=self.ca, bytecode=self.bytecode)
            case Copy(files, entry, dst, owner, link):
                flags = [*(["--link"] if link else []), *([f"--chown={owner}"] if owner else [])]
                source = only_source(f"{files}/{entry}")
                target = dst if entry else f"{dst.rstrip('/')}/"
                yield " ".join(["COPY", *flags, f"[{json_word(source)}, {json_word(target)}]"])
            case SetEnv(variables, prepend):
                if prepend is not None:
                    yield f'ENV PATH="{prepend}:$PATH"'
                for key, value in variables:
                    yield f"ENV {pair(key, value)}"
            case SetUser(name):
                self.runtime_user = name
            case SetWorkdir(path):
                yield f"WORKDIR {word(path)}"
            case SetLabels(labels):
                for key, value in labels:
                    yield f"LABEL {pair(key, value)}"
            case SetEntrypoint(args):
                yield f"ENTRYPOINT [{', '.join(map(json_exact, args))}]"
                yield "CMD []"

    def switch_user(self, name: str) -> Iterator[str]:
        if name != self.user:
            self.user = name
            yield f"USER {word(name)}"

    def restore_user(self) -> Iterator[str]:
        if self.runtime_user is not None:
            yield from self.switch_user(self.runtime_user)


def run_instruction(op: Exec, *, site: bool, ca: bool, bytecode: bool = True) -> str:
    """A step that runs, with what is mounted for it; the settings are as in `render`."""
    mounts: list[tuple[tuple[str, str | None], ...]] = []
    if op.tools:
        mounts.append((("type", "bind"), ("from", TOOLS_STAGE), ("target", TOOLS_DIR)))
    if op.files is not None:
        mounts.append((("type", "bind"), ("source", op.files), ("target", FILES_DIR), ("rw", None)))
    if op.cache is not None:
        sharing = (("sharing", "locked"),) if op.cache == "apt" else ()
        mounts.append((("type", "cache"), ("id", f"imagebuilder-{op.cache}"), ("target", CACHE_DIR), *sharing))
    for mounted in op.secrets:
        options = (("type", "secret"), ("id", mounted.id), ("target", mounted.target), ("mode", "0444"))
        mounts.append((*options, ("required", "true")))
    # What a site adds is not part of the image: a build without it is as good, where it can reach the network.
    added = ((site, SITE_SECRET, SITE_FILE), (ca, CA_SECRET, CA_FILE))
    for wanted, name, target in added:
        if wanted and op.network:
            mounts.append((("type", "secret"), ("id", name), ("target", target), ("mode", "0444")))
    script = render_template(
        "steps/entry.sh.j2",
        body=render_template(
            op.template,
            tools=TOOLS_DIR,
            files=op.files and FILES_DIR,
            cache=CACHE_DIR,
            bytecode=bytecode,
            **dict(op.values),
        ),
        secrets=op.secrets,
        site=SITE_FILE if site and op.network else None,
    )
    delimiter, body = heredoc(script)
    flags = "".join(f"--mount={mount(options)} \\\n    " for options in mounts)
    return f"RUN {flags}<<'{delimiter}'\n{body}{delimiter}"


def _comment(text: str) -> str:
    return " ".join(text.split())
