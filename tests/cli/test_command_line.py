"""Help, exit codes, and how errors are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from imagebuilder import __version__
from imagebuilder.cli import entry
from imagebuilder.cli.group import _COMMANDS, commands

IMAGEBUILD = [sys.executable, "-c", "import sys; from imagebuilder.cli.entry import main; sys.exit(main())"]


def test_the_help_tells_every_command_and_the_exit_codes(project):
    for args in ((), ("--help",), ("-h",)):
        ended = project.run(*args)
        assert ended.code == 0
        assert all(f"  {name}  " in ended.out for name in _COMMANDS)
        assert "3    could not find out" in ended.out
        assert "130  interrupted" in ended.out


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_help_that_begins_as_the_groups_says(project, name):
    ended = project.run(name, "--help")
    assert ended.code == 0
    assert ended.out.startswith(f"Usage: imagebuild {name} ")
    assert commands.get_command(None, name).short_help == _COMMANDS[name]
    assert all(len(line) <= 100 for line in ended.out.splitlines())


def test_the_version(project):
    assert project.run("--version").out == f"imagebuild {__version__}\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["buidl"], "No such command 'buidl'"),
        (["identify"], "Missing argument 'SPEC...'"),
        (["identify", "--frce", "x.py"], "No such option"),
        (["build", "spec.py", "--push", "--load"], "--push, --load and --output exclude each other"),
        (["build", "spec.py", "--load", "--output", "oci:x"], "exclude each other"),
        (["build", "spec.py", "--output", "tar:x"], "'tar:x' is neither oci:DIR nor docker-archive:FILE"),
        (["build", "spec.py", "--output", "oci:"], "is neither"),
        (["build", "spec.py", "--secret", "TOKEN"], "write KEY=env:VARIABLE"),
        (["build", "spec.py", "--parallel", "0"], "--parallel"),
        (["build", "spec.py", "--progress", "loud"], "'loud' is not one of"),
        (["build", "spec.py", "--metadata-file", "spec.py/such/file.json"], "spec.py is not a folder"),
        (["build", "spec.py", "--metadata-file", "."], "it is a folder\n  hint: name a file: out.json"),
        (
            ["build", "spec.py", "--output", "oci:spec.py"],
            "spec.py cannot be written: it is not a folder\n  hint: name a",
        ),
        (["build", "spec.py", "--output", "oci:spec.py/a/b"], "spec.py/a/b cannot be written: spec.py is not a folder"),
        (["build", "spec.py", "--output", "docker-archive:."], "it is a folder\n  hint: name a file: image.tar"),
        (["build", "spec.py", "--output", "docker-archive:spec.py/a.tar"], "spec.py is not a folder"),
        (
            ["build", "spec.py", "--registry", "https://ghcr.io/team"],
            "'--registry': a registry is named without a scheme: write ghcr.io/team",
        ),
        (["identify", "spec.py", "--registry", "https://me:s3cret@ghcr.io/"], "without a scheme: write ghcr.io\n"),
        (["check", "spec.py", "--registry", "ghcr.io/UPPER"], "'ghcr.io/UPPER' is no registry, write ghcr.io/team: "),
        (["doctor", "--registry", "https://ghcr.io"], "without a scheme: write ghcr.io"),
        (["build", "missing.py"], "missing.py does not exist"),
        (["build", "spec.py:image"], "hint: write spec.py --name image"),
        (["check", "UPPER CASE"], "is not an image reference"),
        (["check", "spec.py", "--platform", "a/b/c/d"], "is not a platform"),
    ],
)
def test_a_wrong_command_line_is_2_in_words_and_in_json(project, args, words):
    project.spec("image = Image.from_debian_base('3.11', name='x')")
    ended = project.run(*args)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert words in ended.err
    assert "s3cret" not in ended.err
    assert "Traceback" not in ended.err
    if args[0] in ("build", "check", "identify"):
        ended = project.run(*args, "--json")
        assert ended.code == ended.json["error"]["exit_code"] == 2
        assert ended.json["error"]["message"] in ended.err


def test_an_error_has_its_hint_below(project):
    project.spec("image = Image.from_debian_base('3.11').with_commands('make')")
    ended = project.run("identify", "spec.py")
    assert ended.err == (
        "error: spec.py:2: with_commands() takes a list of commands, not one string\n"
        "  hint: write with_commands(['make'])\n"
    )
    document = project.run("identify", "spec.py", "--json").json
    assert document == {
        "error": {
            "kind": "SpecError",
            "message": "spec.py:2: with_commands() takes a list of commands, not one string",
            "hint": "write with_commands(['make'])",
            "exit_code": 2,
        }
    }


def test_a_defect_is_told_without_a_traceback_unless_asked_for(project, monkeypatch):
    def broken(*_args):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("imagebuilder.cli.identify.find_images", broken)
    ended = project.run("identify", "spec.py", "--json")
    assert ended.code == 1
    assert ended.err.startswith("error: internal error: ZeroDivisionError: oh\n  hint: please report it")
    assert ended.json["error"]["kind"] == "InternalError"
    monkeypatch.setenv("IMAGEBUILDER_DEBUG", "1")
    assert "Traceback" in project.run("identify", "spec.py").err


def test_an_interrupt_is_130(project, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("imagebuilder.cli.identify.find_images", interrupted)
    ended = project.run("identify", "spec.py", "--json")
    assert ended.code == ended.json["error"]["exit_code"] == 130
    assert "error: interrupted" in ended.err


def test_an_interrupt_in_the_users_code_is_130(project):
    project.spec("raise KeyboardInterrupt")
    assert project.run("identify", "spec.py").code == 130


@pytest.mark.parametrize("missing", ["click", "rich", "jinja2"])
def test_a_missing_extra_says_what_to_install(project, monkeypatch, missing):
    project.spec("image = Image.from_debian_base('3.11', name='x')")
    for name in [name for name in sys.modules if name.partition(".")[0] in (missing, "imagebuilder")]:
        if name.partition(".")[0] == missing or name in ("imagebuilder.cli.group", "imagebuilder.cli.progress_live"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "jinja2":
        from imagebuilder.plan import templates

        templates._environment.cache_clear()
    args = {
        "click": ["--help"],
        "rich": ["build", "spec.py", "--progress", "live", "--dry-run"],
        "jinja2": ["render", "spec.py"],
    }[missing]
    ended = project.run(*args)
    assert ended.code == 3
    assert 'pip install "imagebuilder[engine]"' in ended.err


def test_colour_is_for_terminals(project, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "\x1b[1;31merror:\x1b[0m" in entry._words("x", None)
    monkeypatch.setenv("NO_COLOR", "1")
    assert entry._words("x", "y\nz") == "error: x\n  hint: y\n        z"


def test_an_output_that_nobody_reads_is_141_and_quiet(project):
    spec = project.spec("image = Image.from_debian_base('3.11', name='x')")
    read, write = os.pipe()
    os.close(read)
    for args in ([], ["--json"]):
        done = subprocess.run([*IMAGEBUILD, "identify", spec, *args], stdout=write, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr) == (141, b"")
    os.close(write)


def test_a_closed_pipe_is_quiet(project):
    spec = project.spec(
        "images = 0\n" + "".join(f"i{n} = Image.from_debian_base('3.11', name='x{n}')\n" for n in range(2000))
    )
    command = f"{subprocess.list2cmdline(IMAGEBUILD)} identify {spec} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


HEAVY = {
    "rich",
    "jinja2",
    "docker",
    "asyncio",
    "ssl",
    "imagebuilder.registry",
    "imagebuilder.engine",
    "imagebuilder.config",
}


@pytest.mark.parametrize(
    ("args", "absent"),
    [
        (["--help"], HEAVY | {f"imagebuilder.cli.{name}" for name in _COMMANDS}),
        (["--version"], HEAVY),
        (
            ["build", "--help"],
            {"rich", "jinja2", "docker", "asyncio", "ssl", "imagebuilder.registry", "imagebuilder.engine"},
        ),
        (
            ["identify", "spec.py"],
            {"rich", "jinja2", "docker", "asyncio", "ssl", "imagebuilder.registry", "imagebuilder.engine"},
        ),
        (["render", "spec.py"], {"rich", "docker", "asyncio"}),
        (["check", "spec.py"], {"rich", "jinja2", "docker", "asyncio"}),
    ],
)
def test_a_command_imports_what_it_uses(project, args, absent):
    project.spec("image = Image.from_debian_base('3.11', name='x')")
    code = (
        "import sys; from imagebuilder.cli.entry import main\n"
        f"main({args!r}); import json; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "click" in loaded
    assert not loaded & absent
