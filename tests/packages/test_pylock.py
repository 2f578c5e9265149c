from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.errors import ImageBuilderError, SourceError
from imagebuilder.packages.places import Places
from imagebuilder.packages.pylock import parse, render, select

from .conftest import ARM64, target

HEX = "a" * 64
HEAD = 'lock-version = "1.0"\ncreated-by = "test"\n'
WHEEL = f'{{ url = "https://h.example/x/thing-1.0-py3-none-any.whl", hashes = {{ sha256 = "{HEX}" }} }}'


def package(body: str, name: str = "thing") -> str:
    return f'{HEAD}[[packages]]\nname = "{name}"\nversion = "1.0"\n{body}\n'


def test_what_is_read_is_written_and_read_again() -> None:
    text = (
        HEAD
        + f"""
[[packages]]
name = "thing"
version = "1.0"
marker = "sys_platform == 'linux'"
requires-python = ">=3.9"
sdist = {{ url = "https://h.example/thing-1.0.tar.gz", size = 12, hashes = {{ sha256 = "{HEX}" }} }}
wheels = [{WHEEL}]
[[packages]]
name = "arch"
archive = {{ path = "local-1/arch-1.0-py3-none-any.whl", hashes = {{ sha256 = "{HEX}", sha512 = "x" }} }}
[[packages]]
name = "proj"
directory = {{ path = ".", subdirectory = "a/b" }}
[[packages]]
name = "repo"
version = "2"
vcs = {{ type = "git", url = "https://h.example/r.git", commit-id = "abc" }}
"""
    )
    lock = parse(text, "lock")
    assert [one.source for one in lock.packages] == ["index", "archive", "directory", "vcs"]
    assert lock.packages[1].wheels[0].place == "local-1/arch-1.0-py3-none-any.whl"
    assert (lock.packages[2].place, lock.packages[2].subdirectory) == ("", "a/b")
    assert lock.packages[3].origin == "git+https://h.example/r.git@abc"
    written = render(lock.packages)
    assert parse(written, "lock").packages == lock.packages
    assert render(parse(written, "lock").packages) == written


def test_markers_are_those_of_the_target_and_not_of_this_machine() -> None:
    bodies = {
        "arm": "platform_machine == 'aarch64'",
        "amd": "platform_machine == 'x86_64'",
        "win": "sys_platform == 'win32'",
        "new": "python_full_version >= '3.13.2'",
        "extra": "'x' in extras",
        "dev": "'dev' in dependency_groups",
        "group": "'main' in dependency_groups",
    }
    text = f'{HEAD}default-groups = ["main"]\n' + "".join(
        f'[[packages]]\nname = "{name}"\nmarker = "{marker}"\ndirectory = {{ path = "x" }}\n'
        for name, marker in bodies.items()
    )
    lock = parse(text, "lock")
    assert [one.name for one in select(lock, target((3, 13, 2), ARM64), "lock")] == ["arm", "group", "new"]
    assert [one.name for one in select(lock, target((3, 13, 1)), "lock", extras=["x"], groups=["dev"])] == [
        "amd",
        "dev",
        "extra",
    ]


def test_a_lock_for_others_is_refused() -> None:
    body = f"wheels = [{WHEEL}]"
    old = parse(f'requires-python = ">=3.12"\n{package(body)}', "lock")
    with pytest.raises(SourceError, match=r"requires-python = '>=3\.12', and the image has Python 3\.11\.0"):
        select(old, target(), "lock")
    windows = parse(f"environments = [\"sys_platform == 'win32'\"]\n{package(body)}", "lock")
    with pytest.raises(SourceError, match=r"not meant for Python 3\.11 on linux/amd64"):
        select(windows, target(), "lock")
    twice = parse(package(body) + f'[[packages]]\nname = "thing"\nversion = "2"\n{body}\n', "lock")
    with pytest.raises(SourceError, match="stands there twice"):
        select(twice, target(), "lock")
    nonsense = parse(package(f'marker = "sys_platform === 3"\n{body}'), "lock")
    with pytest.raises(SourceError, match="marker that means nothing"):
        select(nonsense, target(), "lock")


def wheel(**fields: str) -> str:
    known = {"url": '"https://h.example/thing-1.0-py3-none-any.whl"', "hashes": f'{{ sha256 = "{HEX}" }}'} | fields
    return "wheels = [{ " + ", ".join(f"{key} = {value}" for key, value in known.items() if value) + " }]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no lock-version"),
        ('lock-version = "2.0"\ncreated-by = "x"\npackages = []', "only 1.x"),
        ("lock-version = 1\n", "not a string"),
        ('lock-version = "1.0"\npackages = []', "has no created-by"),
        (HEAD, "no list of tables named packages"),
        (f"{HEAD}packages = 3", "no list of tables"),
        (f"{HEAD}packages = [3]", "no list of tables"),
        ("not toml", "TOML|="),
        (package(wheel(), name="../x"), "not a normalized one"),
        (package(wheel(), name="Thing"), "not a normalized one"),
        (package(""), "not exactly one source"),
        (package(f'{wheel()}\ndirectory = {{ path = "x" }}'), "not exactly one source"),
        (package(wheel(hashes="")), "has no SHA-256 for thing"),
        (package(wheel(hashes='{ md5 = "x" }')), "has no SHA-256"),
        (package(wheel(hashes='{ sha256 = "abc" }')), "has no SHA-256"),
        (package(wheel(hashes='{ sha256 = "' + "/" * 64 + '" }')), "has no SHA-256"),
        (package(wheel(hashes='"abc"')), "not a table"),
        (package(wheel(size='"3"')), "bytes"),
        (package(wheel(size="-3")), "bytes"),
        (package(wheel(url="3")), "not a string"),
        (package(wheel(url="")), "neither url nor path"),
        (package(wheel(url='"ftp://h/thing-1.0-py3-none-any.whl"')), "scheme 'ftp'"),
        (package(wheel(url='"https://me:pw@h/thing-1.0-py3-none-any.whl"')), "credentials"),
        (package(wheel(url='"https://h:x/thing-1.0-py3-none-any.whl"')), "URL is broken"),
        (package(wheel(url='"https://h/thing-1.0-py3-none-any.whl\\r\\nX: y"')), "URL"),
        (package(wheel(name='"../thing-1.0-py3-none-any.whl"')), "with the name"),
        (package(wheel(name='"thing.whl"')), "not the name of a wheel"),
        (package(wheel(url='"https://h/..%2f..%2fthing-1.0-py3-none-any.whl?x"', name='".."')), "with the name"),
        (package(wheel(url='"https://h/other-1.0-py3-none-any.whl"')), "another package"),
        (package(wheel(url="", path='"../thing-1.0-py3-none-any.whl"')), "outside the files"),
        (package(wheel(url="", path='"/etc/thing-1.0-py3-none-any.whl"')), "no image has"),
        (package(wheel(url='"file:///etc/thing-1.0-py3-none-any.whl"')), "no image has"),
        (package(wheel(url='"file://other/thing-1.0-py3-none-any.whl"')), "another machine"),
        (package('directory = { path = "a/../../b" }'), "outside the files"),
        (package('directory = { path = "a", subdirectory = "../../b" }'), "outside the files"),
        (package("directory = { path = 3 }"), "not a string"),
        (package("directory = 3"), "not a table"),
        (package('vcs = { type = "git" }'), "has no path"),
        ("a = " + "[" * 5000, "."),
    ],
)
def test_hostile_and_broken_locks_are_refused(text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        parse(text, "lock.toml")
    assert "lock" in caught.value.message
    assert "pw" not in str(caught.value)


def test_places_inside_a_stage() -> None:
    text = package(wheel(url='"file:///stage/links%20x/thing-1.0-py3-none-any.whl"'))
    lock = parse(text, "lock", Places("app", "/stage"))
    assert lock.packages[0].wheels[0].place == "links x/thing-1.0-py3-none-any.whl"
    lock = parse(package('directory = { path = "../lib" }'), "lock", Places("app", "/stage"))
    assert lock.packages[0].place == "lib"
    with pytest.raises(SourceError, match="outside"):
        parse(package('directory = { path = "/stage2" }'), "lock", Places("app", "/stage"))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8).map(lambda x: x.replace("\x7f", "")),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "url", "hashes", "path", "wheels", "directory"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    )
)
def test_no_shape_of_a_package_ends_in_anything_but_our_own_error(value: object) -> None:
    from imagebuilder.sources.toml_text import dump

    def clean(item: object) -> object:
        if isinstance(item, dict):
            return {k: clean(v) for k, v in item.items() if v is not None}
        return [clean(one) for one in item if one is not None] if isinstance(item, list) else item

    text = dump(
        {
            "lock-version": "1.0",
            "created-by": "x",
            "packages": [{"name": "thing", "wheels": clean(value) if value is not None else 0}],
        }
    )
    with contextlib.suppress(ImageBuilderError):
        parse(text, "lock")
