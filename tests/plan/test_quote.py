"""Whatever a value holds, it stays in its place; read back by a parser that knows nothing of the renderer."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagebuilder.plan import quote

NASTY = "\\\"'$`#<> \t=,{}[]()*?!|&;~%^-EOFé\u2028"
CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0\n\r")
LINE = st.text(st.sampled_from(NASTY) | CHARACTERS, max_size=12)
TEXT = st.text(st.sampled_from(NASTY + "\n\r") | CHARACTERS, max_size=20)
PATH = st.text(
    st.sampled_from("ab/\\\"'$`, =[]*?#<:;~") | st.characters(min_codepoint=32, max_codepoint=126), max_size=12
)


@given(text=LINE)
@example(text="back\\")
@example(text="\\")
@example(text="${A:-b}")
@example(text="<<EOF")
@example(text="# x")
def test_a_word_is_read_back(reader, text):
    assert "\n" not in quote.word(text)
    assert reader.word(quote.word(text)) == text


@given(key=LINE.filter(lambda key: key and "=" not in key), value=LINE)
def test_a_pair_is_read_back(reader, key, value):
    ((name, text),) = map(reader._split_pair, reader.split_words(quote.pair(key, value)))
    assert (reader.word(name), reader.word(text)) == (key, value)


@given(text=TEXT)
def test_a_word_in_json_is_read_back(reader, text):
    assert "\n" not in quote.json_word(text)
    assert reader.word(json.loads(quote.json_word(text))) == text


@given(text=TEXT)
def test_exact_json_is_read_back(text):
    assert "\n" not in quote.json_exact(text)
    assert json.loads(quote.json_exact(text)) == text


@given(text=TEXT)
def test_a_shell_word_is_read_back(text):
    assert shlex.split(quote.shell(text)) == [text]


@given(target=PATH.filter(bool))
@example(target='/run/a b,c"d\\e$f')
def test_a_mount_is_read_back(reader, target):
    flag = quote.mount((("type", "secret"), ("id", "x"), ("target", f"/{target}"), ("rw", None)))
    flags, rest = reader.split_flags(f"--mount={flag} --mount=type=cache <<'EOF'")
    assert rest == "<<'EOF'"
    first, second = reader.Instruction("RUN", flags, rest).mounts
    assert first == {"type": "secret", "id": "x", "target": f"/{target}", "rw": ""}
    assert second == {"type": "cache"}


@given(script=TEXT | st.lists(st.sampled_from(["EOF", "EOF_", "\tEOF", "EOF\r", "EOF\r\r", "x", ""])).map("\n".join))
def test_a_heredoc_ends_where_it_should(reader, script):
    delimiter, body = quote.heredoc(script)
    text = f"FROM x\nRUN <<'{delimiter}'\n{body}{delimiter}\nUSER after\n"
    (stage,) = reader.read(text)
    assert [item.name for item in stage] == ["FROM", "RUN", "USER"]
    assert stage[1].heredocs == [body]
    assert body == script or body == f"{script}\n"


@pytest.mark.parametrize("name", ["a[1].txt", "*", "?", "back\\slash", "[[]]"])
def test_a_source_with_a_wildcard_still_matches_itself(name):
    import fnmatch

    pattern = quote.only_source(f"1-x/{name}")
    assert fnmatch.fnmatchcase(f"1-x/{name}", pattern)
    assert not set("*[]\\") & set(pattern)


def test_a_plain_source_is_itself():
    assert quote.only_source("1-x/a b$c.txt") == "1-x/a b$c.txt"
