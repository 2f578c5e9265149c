"""What the views draw for a list of events."""

from __future__ import annotations

import io
import json
import threading

import pytest

from imagebuilder import Image
from imagebuilder.builders.events import Finished, Log, Progress, Step
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.cli import units
from imagebuilder.cli.progress import clean, make_view, parts_of
from imagebuilder.cli.progress_json import JsonLines
from imagebuilder.cli.progress_live import Live
from imagebuilder.cli.progress_plain import Plain

DIGEST = f"sha256:{'12345678' * 8}"
IMAGES = [
    (
        "my-app",
        Image.from_debian_base("3.11").with_pip_packages("numpy").with_commands(["make", "make test"]).with_user("me"),
    ),
    ("web", Image.from_dockerfile("Dockerfile")),
]
EVENTS = [
    Step("my-app", "a", "[internal] load build definition", "done", None, 0.1),
    Step("my-app", "b", "FROM python:3.11-slim-bookworm", "started", 0),
    Step("my-app", "b", "FROM python:3.11-slim-bookworm", "done", 0, 1.25),
    Step("my-app", "c", "make user app and /opt/venv", "cached", 0, 0.0),
    Step("web", "w", "RUN  make\n all", "started", 0),
    Step("my-app", "d", "uv pip install numpy", "started", 1),
    Log("my-app", "d", "Resolved\t\x1b[1m1 package\x1b[0m"),
    Progress("my-app", "d/x", "numpy.whl", 5, 10),
    Step("my-app", "d", "uv pip install numpy", "done", 1, 12.34),
    Step("my-app", "e", "make", "done", 2, 75.0),
    Step("my-app", "e2", "make", "done", 2, 0.1),
    BuildWarning("my-app", "a file is large"),
    Log("web", "w", "oh no"),
    Step("web", "w", "RUN  make\n all", "failed", 0, 0.5),  # and tried again
    Step("my-app", "f", "exporting to oci image format", "done", None, 2.5),
    Progress("my-app", "push", "push localhost/my-app:x", 0, 2_000_000),
    Progress("my-app", "push", "push localhost/my-app:x", 1_500_000, 2_000_000),
    Finished("my-app", "localhost/my-app:x", DIGEST, built=True, pushed=True, seconds=100.0),
    Finished("web", "web:y", None, built=False, pushed=False, seconds=0.0),
]
PLAIN = """\
my-app  base: FROM python:3.11-slim-bookworm: done in 1.2 s
my-app  base: make user app and /opt/venv: cached
my-app  layer 1, pip packages numpy: started
my-app  | Resolved    1 package
my-app  layer 1, pip packages numpy: done in 12 s
my-app  layer 2, commands: make: done in 1 min 15 s
my-app  warning: a file is large
web     dockerfile Dockerfile: RUN make all: started
web     | oh no
my-app  taking the image from BuildKit: done in 2.5 s
my-app  pushing
my-app  pushing: 1.5 MB of 2.0 MB
my-app  built and pushed in 1 min 40 s: localhost/my-app:x (sha256:123456781234)
web     exists: web:y
"""


class Clock:
    def __init__(self, step):
        self.time, self.step = 0.0, step

    def __call__(self):
        self.time += self.step
        return self.time


def test_plain():
    stream = io.StringIO()
    with Plain(stream, parts_of(IMAGES), Clock(6.0)) as view:
        for event in EVENTS:
            view(event)
    assert stream.getvalue() == PLAIN


def test_json_is_one_object_a_line():
    stream = io.StringIO()
    with JsonLines(stream) as view:
        for event in EVENTS:
            view(event)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == len(EVENTS)
    assert lines[1] == {
        "event": "step",
        "image": "my-app",
        "id": "b",
        "title": "FROM python:3.11-slim-bookworm",
        "state": "started",
        "layer": 0,
        "seconds": None,
    }
    assert [line["event"] for line in lines[-3:]] == ["progress", "finished", "finished"]


def test_json_tells_progress_a_few_times_a_second_and_what_came_last():
    stream = io.StringIO()
    with JsonLines(stream, Clock(0.01)) as view:
        for sent in range(101):
            view(Progress("a", "push", "push a", sent, 100))
            view(Progress("a", "c/x", "layer", sent, 100))
        view(Step("a", "c", "make", "done", 1, 1.0))
        view(Finished("a", "a:1", None, built=True, pushed=True, seconds=1.0))
        view(Progress("b", "push", "push b", 0, 100))
        view(Progress("b", "push", "push b", 50, 100))
    told = [(line.get("id"), line.get("current")) for line in map(json.loads, stream.getvalue().splitlines())]
    assert len(told) < 25
    assert told[-6:] == [("c/x", 100), ("c", None), ("push", 100), (None, None), ("push", 0), ("push", 50)]


def plain(events, parts=None):
    stream = io.StringIO()
    with Plain(stream, parts if parts is not None else parts_of(IMAGES), Clock(6.0)) as view:
        for event in events:
            view(event)
    return stream.getvalue().splitlines()


def test_plain_says_what_failed_at_the_end_for_buildkit_tries_some_steps_again():
    failed = Step("web", "w", "RUN make", "failed", 0, 0.5)
    done = Finished("web", "web:y", None, built=True, pushed=False, seconds=1.0)
    assert plain([failed, done]) == ["web     built in 1.0 s: web:y"]
    assert plain([failed]) == ["web     dockerfile Dockerfile: RUN make: failed after 0.5 s"]


def test_a_step_of_another_build_is_never_told_by_its_instruction(monkeypatch):
    raw = "[stage-1 4/6] RUN --mount=type=bind,from=imagebuilder-tools"
    events = [Step("my-app", "x", raw, "started", None), Log("my-app", "x", "a line")]
    assert plain([*events, Step("my-app", "x", raw, "done", None, 0.5)]) == []
    view = Live(terminal(monkeypatch), parts_of(IMAGES), lambda: 10.0)
    view(events[0])
    assert drawn(view)[0].startswith("⠋ my-app  a step that another build shares  ")


def test_the_lines_of_a_step_that_images_share_are_told_once(monkeypatch):
    base = Image.from_debian_base("3.11").with_commands(["make"])
    parts = parts_of([("a", base), ("b", base.with_workdir("/b"))])
    events = [
        event
        for name in "ab"
        for event in (Step(name, "x", "make", "started", 1), Log(name, "x", "one"), Log(name, "x", "two"))
    ]
    assert plain([*events, Step("b", "x", "make", "done", 1, 0.5)], parts) == [
        "a  layer 1, commands make: started",
        "a  | one",
        "a  | two",
        "b  layer 1, commands make: started, the same step as a's",
        "b  layer 1, commands make: done in 0.5 s",
    ]
    view = Live(terminal(monkeypatch), parts, lambda: 10.0)
    for event in events:
        view(event)
    assert len(drawn(view)) == 5


def test_a_step_that_prepares_a_layer_and_a_platform_have_words_of_their_own():
    image = Image.from_base("python:3.11").with_pip_packages("numpy").with_commands(["a", "b"])
    steps = [
        Step("a", "1", "make /opt/venv from the base's Python", "done", 1, 0.5),
        Step("a", "2", "uv pip install numpy", "done", 1, 0.5),
        Step("a", "3", "[linux/arm64] uv pip install numpy", "done", 1, 0.5),
        Step("a", "4", "[linux/arm/v7] make /opt/venv from the base's Python", "cached", 1),
        Step("a", "5", "[linux/arm64] b", "done", 2, 0.5),
    ]
    assert plain(steps, parts_of([("a", image)])) == [
        "a  layer 1, pip packages numpy: make /opt/venv from the base's Python: done in 0.5 s",
        "a  layer 1, pip packages numpy: done in 0.5 s",
        "a  layer 1, pip packages numpy [linux/arm64]: done in 0.5 s",
        "a  layer 1, pip packages numpy: [linux/arm/v7] make /opt/venv from the base's Python: cached",
        "a  layer 2, commands: [linux/arm64] b: done in 0.5 s",
    ]


@pytest.mark.parametrize(
    ("title", "words"),
    [
        (
            "[internal] load metadata for docker.io/library/python:3",
            "asking the registry for docker.io/library/python:3",
        ),
        ("[linux/arm64 internal] load metadata for x:1", "asking the registry for x:1"),
        ("[auth] library/python:pull token for registry-1.docker.io", "asking a registry for access"),
        ("[internal] load build context", "sending files to BuildKit"),
        ("[internal] load .dockerignore", "handing the build to BuildKit"),
        ("[stage-1 1/4] FROM docker.io/library/python:3@sha256:1", "fetching the base image"),
        ("[linux/arm64 stage-1 1/4] FROM x", "fetching the base image"),
        ("[imagebuilder-tools 1/1] COPY tools/amd64/ /", "sending uv to BuildKit"),
        ("exporting to oci image format", "taking the image from BuildKit"),
        ("exporting cache to registry", "exporting the build cache"),
        ("something new", "working"),
    ],
)
def test_live_says_at_once_what_buildkit_is_doing(monkeypatch, title, words):
    view = Live(terminal(monkeypatch), parts_of(IMAGES), lambda: 10.0)
    view(Step("web", "x", title, "started"))
    assert drawn(view)[0].startswith(f"⠋ web     {words}  ")


def test_live_says_what_it_waits_for(monkeypatch):
    view = Live(terminal(monkeypatch), parts_of(IMAGES), lambda: 10.0)
    view(EVENTS[-1])
    assert drawn(view)[0].startswith("⠋ waiting for BuildKit: 1 image  ")
    view(Step("my-app", "a", "make", "started", 2))
    view(Step("my-app", "a", "make", "done", 2, 1.0))
    assert drawn(view)[0].startswith("⠋ my-app  waiting for BuildKit  ")
    view(Step("my-app", "f", "exporting to oci image format", "started"))
    view(Step("my-app", "f", "exporting to oci image format", "done", None, 0.1))
    assert drawn(view)[0].startswith("⠋ my-app  packing its layers  ")


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        (120, "  registry.example/some/team/app:abcdefghijklmnopqrstuvwxyz"),
        (80, "  …/app:abcdefghijklmnopqrstuvwxyz"),
        (60, "  sha256:123456781234"),
        (45, ""),
    ],
)
def test_live_leaves_where_an_image_went_as_far_as_it_fits(monkeypatch, columns, place):
    stream = terminal(monkeypatch, columns)
    uri = "registry.example/some/team/app:abcdefghijklmnopqrstuvwxyz"
    with Live(stream, parts_of(IMAGES)) as view:
        view(Finished("web", uri, DIGEST, built=True, pushed=True, seconds=9.0))
    assert clean(stream.getvalue().splitlines()[0]) == f"✓ web  built and pushed in 9.0 s{place}"


def terminal(monkeypatch, columns=80):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    stream.isatty = lambda: True
    return stream


def drawn(view):
    with view._console.capture() as capture:
        view._console.print(view.draw())
    return [clean(line).rstrip() for line in capture.get().splitlines()]


def test_live_draws_what_is_under_way(monkeypatch):
    view = Live(terminal(monkeypatch), parts_of(IMAGES), lambda: 10.0)
    assert drawn(view) == [f"{'⠋ identifying 2 images, asking registries':73} 0.0 s"]
    for event in EVENTS[:8]:
        view(event)
    lines = drawn(view)
    assert lines[0] == "⠋ my-app  layer 1, pip packages numpy" + " " * 37 + "0.0 s"
    assert lines[1] == "    Resolved    1 package"
    assert lines[2].startswith("⠋ web     dockerfile Dockerfile: RUN make all  ")
    assert lines[3] == "  0 of 2 images done, 0.0 s"
    for event in EVENTS[8:17]:
        view(event)
    assert drawn(view)[0].startswith("⠋ my-app  pushing 1.5 MB of 2.0 MB  ")


def test_live_leaves_a_line_for_what_is_over(monkeypatch):
    stream = terminal(monkeypatch)
    with Live(stream, parts_of(IMAGES)) as view:
        for event in EVENTS:
            view(event)
    lines = [clean(line) for line in stream.getvalue().splitlines()]
    assert lines == [
        "! my-app  warning: a file is large",
        "✓ my-app  built and pushed in 1 min 40 s, 1.5 MB sent  localhost/my-app:x",
        "✓ web  exists  web:y",
    ]


def test_live_says_what_failed_at_the_end_for_buildkit_tries_some_steps_again(monkeypatch):
    stream = terminal(monkeypatch)
    with Live(stream, parts_of(IMAGES)) as view:
        for event in EVENTS[:14]:
            view(event)
        assert "failed" not in stream.getvalue()
    assert [clean(line) for line in stream.getvalue().splitlines()] == [
        "! my-app  warning: a file is large",
        "- my-app  not finished",
        "✗ web  dockerfile Dockerfile: RUN make all: failed after 0.5 s",
    ]


@pytest.mark.parametrize("columns", [10, 20, 40, 80, 200])
def test_live_fits_any_terminal(monkeypatch, columns):
    long = "a_very_long_variable_name_for_an_image_" * 3
    images = [
        (long, Image.from_debian_base("3.11").with_pip_packages(*[f"package{n}" for n in range(30)])),
        ("語" * 50, IMAGES[1][1]),
    ]
    view = Live(terminal(monkeypatch, columns), parts_of(images), lambda: 10.0)
    for event in (
        Step(long, "a", "install", "started", 1),
        Log(long, "a", "x" * 500),
        Log(long, "a", "語" * 300),
        Step("語" * 50, "a", "RUN " + "語" * 100, "started", 0),
    ):
        view(event)
    from rich.cells import cell_len

    lines = drawn(view)
    assert len(lines) == 5
    assert all(cell_len(line) <= columns for line in lines)


def test_live_starts_late_and_cleans_up(monkeypatch):
    monkeypatch.setattr("imagebuilder.cli.progress_live._DELAY", 0.05)
    stream = terminal(monkeypatch)
    before = set(threading.enumerate())
    with Live(stream, parts_of(IMAGES)) as view:
        view(EVENTS[1])
        view._timer.join()
        assert view._live is not None
    for thread in set(threading.enumerate()) - before:
        thread.join(2)
        assert not thread.is_alive()
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1
    assert clean(stream.getvalue()).rstrip().endswith("- my-app  not finished")


@pytest.mark.parametrize(
    ("kind", "tty", "term", "view"),
    [
        ("auto", True, "xterm", "Live"),
        ("auto", True, "dumb", "Plain"),
        ("auto", False, "xterm", "Plain"),
        ("plain", True, "xterm", "Plain"),
        ("quiet", True, "xterm", "Quiet"),
        ("json", True, "xterm", "JsonLines"),
    ],
)
def test_the_view_is_chosen(monkeypatch, kind, tty, term, view):
    stream = terminal(monkeypatch)
    stream.isatty = lambda: tty
    monkeypatch.setenv("TERM", term)
    made = make_view(kind, stream, {})
    assert type(made).__name__ == view
    with made:
        pass


def test_quiet_draws_nothing(capsys):
    view = make_view("quiet", io.StringIO(), {})
    with view:
        for event in EVENTS:
            view(event)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (125.2, "2 min 05 s")]
)
def test_seconds(value, text):
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345, "12 kB"),
        (999_600, "1.0 MB"),
        (3_440_000, "3.4 MB"),
        (10**13, "10000 GB"),
    ],
)
def test_size(value, text):
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\tb", "a   b"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b[2J\x07\rx", "x"),
        ("é語", "é語"),
    ],
)
def test_clean(line, text):
    assert clean(line) == text
