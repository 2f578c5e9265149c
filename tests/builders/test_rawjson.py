from __future__ import annotations

import base64
import codecs
import itertools
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.builders.events import Log, Progress, Step
from imagebuilder.builders.events import Warning as BuildWarning
from imagebuilder.builders.rawjson import ProgressReader

# What buildx 0.13 printed for a Dockerfile whose second step fails after printing lines without an end.
CAPTURED = (Path(__file__).parent / "raw_failed_step.txt").read_bytes()


def read(chunks: list[bytes]) -> tuple[list[object], ProgressReader]:
    reader = ProgressReader("app")
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    events = [event for chunk in chunks for event in reader.feed(decode(chunk))]
    reader.close()
    return events, reader


WHOLE, WHOLE_READER = read([CAPTURED])


def line(**status: object) -> str:
    return f"{json.dumps(status)}\n"


def log(text: str, vertex: str = "v") -> str:
    return line(logs=[{"vertex": vertex, "data": base64.b64encode(text.encode()).decode()}])


def test_captured_output():
    assert WHOLE_READER.failed is not None
    assert "exit code: 3" in WHOLE_READER.failed.error
    assert WHOLE_READER.last_lines(WHOLE_READER.failed, 5)[0] == "a"
    assert WHOLE_READER.tail.startswith("Dockerfile:2\n")
    assert "ERROR: failed to solve" in WHOLE_READER.tail
    assert [event for event in WHOLE if isinstance(event, Step) and event.state == "failed"]


def test_cut_at_every_byte():
    for at in range(0, len(CAPTURED), 1 if len(CAPTURED) < 3000 else 13):
        events, reader = read([CAPTURED[:at], CAPTURED[at:]])
        assert events == WHOLE
        assert reader.tail == WHOLE_READER.tail
    events, reader = read([CAPTURED[at : at + 1] for at in range(len(CAPTURED))])
    assert (events, reader.tail) == (WHOLE, WHOLE_READER.tail)


@given(st.lists(st.integers(0, len(CAPTURED)), max_size=20))
def test_cut_anywhere(cuts):
    edges = [0, *sorted(cuts), len(CAPTURED)]
    events, reader = read([CAPTURED[a:b] for a, b in itertools.pairwise(edges)])
    assert (events, reader.tail) == (WHOLE, WHOLE_READER.tail)


def test_one_line_json_gives_the_same():
    text = CAPTURED.decode()
    objects, at = [], 0
    while text[at:].startswith("{"):
        value, at = json.JSONDecoder().raw_decode(text, at)
        objects.append(json.dumps(value))
        at += 1
    compact = "\n".join(objects) + "\n" + text[at:]
    events, reader = read([compact.encode()])
    assert (events, reader.tail) == (WHOLE, WHOLE_READER.tail)


def test_words_that_look_like_json():
    noise = 'ERROR: bad {"a": 1} and {\n{\n  "not": "ours"\n}\n{"neither": 1}\n{broken\n'
    reader = ProgressReader("app")
    assert list(reader.feed(noise)) == []
    reader.close()
    assert reader.tail == noise


def test_what_is_cut_off_at_the_end_is_kept():
    reader = ProgressReader("app")
    assert list(reader.feed('{\n  "vertexes": [\nkilled')) == []
    reader.close()
    assert reader.tail.startswith('{\n  "vertexes": [\nkilled')


def test_log_lines_are_joined_and_carriage_returns_overwrite():
    reader = ProgressReader("app")
    text = line(vertexes=[{"digest": "v", "name": "[2/2] RUN x", "started": "2024-01-01T00:00:00Z"}])
    text += log("one li") + log("ne\r\n10%\r 55%\r100%\nlast without end") + log("ing", "unknown vertex")
    events = [event for event in reader.feed(text) if isinstance(event, Log)]
    assert [event.line for event in events] == ["one line", "100%"]
    assert reader.last_lines(reader.vertexes["v"], 2) == ["100%", "last without end"]


def test_a_secret_that_a_log_cuts_in_the_middle_comes_in_one_line():
    reader = ProgressReader("app")
    text = line(vertexes=[{"digest": "v", "name": "[2/2] RUN x"}]) + log("token is hun") + log("ter2-secret\n")
    assert [event.line for event in reader.feed(text) if isinstance(event, Log)] == ["token is hunter2-secret"]


def test_the_streams_of_a_step_are_joined_apart():
    reader = ProgressReader("app")
    text = line(vertexes=[{"digest": "v", "name": "[2/2] RUN x"}])
    for stream, part in ((1, b"tok-"), (2, b"warn"), (1, b"value\n"), (2, b"ing")):
        text += line(logs=[{"vertex": "v", "stream": stream, "data": base64.b64encode(part).decode()}])
    text += line(vertexes=[{"digest": "v", "name": "[2/2] RUN x", "completed": "2024-01-01T00:00:00Z"}])
    assert [event.line for event in reader.feed(text) if isinstance(event, Log)] == ["tok-value", "warning"]


def test_a_multibyte_character_that_a_log_cuts_in_two():
    data = "é\n".encode()
    reader = ProgressReader("app")
    text = line(vertexes=[{"digest": "v", "name": "[2/2] RUN x"}])
    for part in (data[:1], data[1:]):
        text += line(logs=[{"vertex": "v", "data": base64.b64encode(part).decode()}])
    assert [event.line for event in reader.feed(text) if isinstance(event, Log)] == ["é"]


def test_numbered_steps_are_layers_of_the_spec():
    numbered = ((0, "FROM python"), (1, "uv pip install six"), (2, "copy to /app"))
    reader = ProgressReader("app", numbered)
    names = {
        "a": "[internal] load build context",
        "b": "[imagebuilder-tools 1/1] COPY tools/amd64/ /",
        "c": "[linux/arm64 imagebuilder-tools 1/1] COPY tools/arm64/ /",
        "d": "[stage-1 1/3] FROM docker.io/library/python",
        "e": "[linux/amd64 stage-1 2/3] RUN <<'EOF' (set -e...)",
        "f": "[linux/arm/v7 stage-1 3/3] COPY [...]",
        "g": "[other 2/4] RUN x",
        "h": "[stage-1 2/9] RUN x",
        "i": "[stage-1 4/9] RUN x",
    }
    text = line(vertexes=[{"digest": k, "name": v, "started": "2024-01-01T00:00:00Z"} for k, v in names.items()])
    found = {event.id: (event.layer, event.title) for event in reader.feed(text) if isinstance(event, Step)}
    assert found["d"] == numbered[0]
    assert found["e"] == (1, "[linux/amd64] uv pip install six")
    assert found["f"] == (2, "[linux/arm/v7] copy to /app")
    assert found["h"] == numbered[1]
    assert {found[key][0] for key in "abcgi"} == {None}


def test_states_and_seconds():
    reader = ProgressReader("app")
    vertex = {"digest": "v", "name": "[1/1] FROM x", "started": "2024-01-01T00:00:00.5Z"}
    text = line(vertexes=[vertex]) + line(vertexes=[vertex])
    text += line(vertexes=[{**vertex, "completed": "2024-01-01T00:00:02.123456789Z"}])
    text += line(
        vertexes=[{"digest": "w", "name": "[1/1] FROM y", "completed": "2024-01-01T00:00:02Z", "cached": True}]
    )
    text += line(vertexes=[{"digest": "z", "name": "[1/1] FROM z", "error": "context canceled"}])
    steps = [event for event in reader.feed(text) if isinstance(event, Step)]
    assert [(step.id, step.state) for step in steps] == [
        ("v", "started"),
        ("v", "done"),
        ("w", "cached"),
        ("z", "failed"),
    ]
    assert steps[1].seconds is not None
    assert abs(steps[1].seconds - 1.623456) < 1e-6
    assert reader.failed is None  # a step that was told to stop is not why


def test_progress_and_warnings():
    reader = ProgressReader("app")
    text = line(vertexes=[{"digest": "v", "name": "[1/1] FROM x"}])
    text += line(statuses=[{"vertex": "v", "id": "sha256:1", "current": 5, "total": 10}])
    text += line(warnings=[{"vertex": "v", "short": base64.b64encode(b"old syntax").decode()}])
    events = list(reader.feed(text))
    assert Progress("app", "v/sha256:1", "sha256:1", 5, 10) in events
    assert BuildWarning("app", "old syntax") in events
