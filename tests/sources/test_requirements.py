"""Requirements files: normalised, includes followed, local things staged, credentials refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uv import find_uv_bin

from imagebuilder import Image
from imagebuilder.errors import SecretError, SourceError
from imagebuilder.sources import Sources
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.read import read_materials

PROJECT = "[project]\nname = 'lib'\n"


def read(path: Path) -> Material:
    image = Image.from_debian_base().with_requirements(path)
    (material,) = read_materials(image, Sources(), lambda requires, name: (3, 11)).layers
    assert material is not None
    return material


def texts(path: Path) -> dict[str, str]:
    return {at: piece.data.decode() for at, piece in read(path).pieces if isinstance(piece, Text)}


def lines(path: Path) -> list[str]:
    return texts(path)["requirements.txt"].splitlines()


def one(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "r.txt").write_text(text)
    return lines(tmp_path / "r.txt")


# -- what means nothing ----------------------------------------------------------------------------------------------


def test_comments_blank_lines_and_white_space_are_dropped(tmp_path: Path):
    assert one(tmp_path, "# c\n\n  numpy   >=2  # why\n\t# c\nscipy\r\n") == ["numpy >=2", "scipy"]


def test_a_hash_sign_inside_a_word_is_no_comment(tmp_path: Path):
    assert one(tmp_path, "x @ https://h/x.zip#sha256=ab # c") == ["x @ https://h/x.zip#sha256=ab"]


def test_continuations_are_joined_and_hashes_kept(tmp_path: Path):
    text = "numpy==2 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nscipy"
    assert one(tmp_path, text) == ["numpy==2 --hash=sha256:aa --hash=sha256:bb", "scipy"]


def test_a_comment_ends_a_continuation(tmp_path: Path):
    assert one(tmp_path, "numpy \\\n# c\nscipy \\") == ["numpy", "scipy"]


def test_white_space_in_quotations_is_kept(tmp_path: Path):
    assert one(tmp_path, 'a ;  platform_version  == "x  y"') == ['a ; platform_version == "x  y"']


def test_the_order_is_kept(tmp_path: Path):
    assert one(tmp_path, "b\na\n") == ["b", "a"]


def test_the_spelling_of_an_option_does_not_matter(tmp_path: Path):
    assert one(tmp_path, "-i https://h/s") == one(tmp_path, "--index-url=https://h/s") == ["--index-url https://h/s"]


WORDS = st.builds(
    lambda name, marker, hashes: [name, *marker, *hashes],
    st.sampled_from(["numpy>=2", "numpy", "scipy", "x@https://h/x.zip#egg=x"]),
    st.sampled_from([[], ["; python_version>'3'"]]),
    st.lists(st.sampled_from(["--hash=sha256:aa", "--hash=sha256:bb"]), max_size=2),
)
NOISE = st.sampled_from(["", " ", "\t"])


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4), st.data())
def test_noise_never_changes_the_digest(content: list[list[str]], data: st.DataObject):
    noisy = []
    for words in content:
        noisy += data.draw(st.lists(st.sampled_from(["", "   ", "# c", "  # c \\", "\t"]), max_size=2))
        joints = [data.draw(st.sampled_from([" ", "  ", "\t", " \\\n ", "\\\n  ", " \\\n\\\n "])) for _ in words]
        line = words[0] + "".join(joint + word for joint, word in zip(joints, words[1:], strict=False))
        noisy.append(data.draw(NOISE) + line + data.draw(st.sampled_from(["", "  ", " # c", "\t# c 'x"])))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.txt")
        path.write_text("\n".join(" ".join(words) for words in content))
        plain = read(path).digest
        path.write_text(data.draw(st.sampled_from(["\n", "\r\n"])).join(noisy) + data.draw(NOISE))
        assert read(path).digest == plain


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=3), st.lists(WORDS, min_size=1, max_size=3))
def test_different_requirements_have_different_digests(one: list[list[str]], other: list[list[str]]):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.txt")
        digests = []
        for content in (one, other):
            path.write_text("\n".join(" ".join(words) for words in content))
            digests.append(read(path).digest)
    assert (digests[0] == digests[1]) == (one == other)


# -- includes --------------------------------------------------------------------------------------------------------


def test_includes_are_followed_relative_to_the_file_that_names_them(make_tree):
    root = make_tree(
        {"r.txt": "-r sub/a.txt\n-c c.txt\nx\n", "sub/a.txt": "--requirement=b.txt\n", "sub/b.txt": "y", "c.txt": "z<2"}
    )
    assert texts(root / "r.txt") == {
        "requirements.txt": "-r include-1.txt\n-c include-3.txt\nx\n",
        "include-1.txt": "-r include-2.txt\n",
        "include-2.txt": "y\n",
        "include-3.txt": "z<2\n",
    }


def test_an_edit_of_an_include_counts_and_its_name_does_not(make_tree):
    one = make_tree({"r.txt": "-r base.txt", "base.txt": "x # c"}, "one")
    same = make_tree({"reqs/all.txt": "--requirement ../more/basis.txt", "more/basis.txt": "x"}, "same")
    other = make_tree({"r.txt": "-r base.txt", "base.txt": "x==1"}, "other")
    constraint = make_tree({"r.txt": "-c base.txt", "base.txt": "x"}, "constraint")
    assert read(one / "r.txt").digest == read(same / "reqs/all.txt").digest
    assert len({read(root / "r.txt").digest for root in (one, other, constraint)}) == 3


def test_a_file_included_twice_is_staged_once(make_tree):
    root = make_tree({"r.txt": "-r a.txt\n-r b.txt", "a.txt": "-c c.txt", "b.txt": "-c ./c.txt", "c.txt": "x"})
    assert texts(root / "r.txt")["include-3.txt"] == "-c include-2.txt\n"


def test_a_cycle_is_an_error_that_shows_it(make_tree):
    root = make_tree({"r.txt": "-r a.txt", "a.txt": "\n-r r.txt"})
    with pytest.raises(
        SourceError, match=rf"a\.txt, line 2: .* includes itself: {root}/r.txt -> {root}/a.txt -> {root}/r"
    ):
        read(root / "r.txt")


def test_a_missing_include_names_both_files_and_the_line(make_tree):
    root = make_tree({"r.txt": "x\n-r gone.txt"})
    with pytest.raises(SourceError, match=rf"{root}/r\.txt, line 2: .*includes {root}/gone\.txt, which does not exist"):
        read(root / "r.txt")


def test_a_remote_include_cannot_be_identified(make_tree):
    root = make_tree({"r.txt": "-r https://host/r.txt"})
    with pytest.raises(SourceError, match="download it"):
        read(root / "r.txt")


# -- local projects and files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "staged"),
    [
        ("./lib", "./local-1"),
        ("./lib/", "./local-1"),
        ("-e ./lib", "./local-1"),
        ("-e lib", "./local-1"),
        ("--editable=./lib", "./local-1"),
        ('-e "./lib"', "./local-1"),
        ("../tree/lib[a,b]", "./local-1[a,b]"),
        ("-e ./lib[a] ; python_version > '3'", "./local-1[a] ; python_version > '3'"),
        ("./lib;python_version>'3'", "./local-1 ; python_version>'3'"),
        ("lib @ ./lib", "./local-1"),
        ("lib[a] @ file:lib", "./local-1[a]"),
        ("lib@file:./lib ; python_version > '3'", "./local-1 ; python_version > '3'"),
        ("file:lib", "./local-1"),
        ("lib @ file://{root}/lib", "./local-1"),
        ("file://localhost{root}/lib#egg=lib[a]", "./local-1[a]"),
        ("-e file:///{root}/mono#egg=x&subdirectory=sub", "./local-1/sub"),
        ("{root}/lib", "./local-1"),
        ("./dist/lib-1.0-py3-none-any.whl --hash=sha256:aa", "./local-1/lib-1.0-py3-none-any.whl --hash=sha256:aa"),
        ("dist/lib-1.0.tar.gz", "./local-1/lib-1.0.tar.gz"),
        ("lib @ file:dist/lib-1.0.tar.gz", "./local-1/lib-1.0.tar.gz"),
        ("--find-links dist", "--find-links ./links-1"),
        ("-f ./dist", "--find-links ./links-1"),
        ("--find-links=file://{root}/dist", "--find-links ./links-1"),
    ],
)
def test_local_things_are_staged_and_the_line_rewritten(make_tree, tmp_path: Path, line: str, staged: str):
    tree = {
        "lib/pyproject.toml": PROJECT,
        "mono/sub/setup.py": "",
        "dist/lib-1.0-py3-none-any.whl": "w",
        "dist/lib-1.0.tar.gz": "t",
    }
    root = make_tree(tree)
    (root / "r.txt").write_text(line.format(root=root))
    assert lines(root / "r.txt") == [staged]
    read(root / "r.txt").write(tmp_path / "out")
    assert (tmp_path / "out" / re.sub(r"[\[ ].*", "", staged.removeprefix("--find-links "))).exists()


@pytest.mark.parametrize(
    "line",
    [
        "numpy[a]>=2",
        "x @ https://h/x.whl",
        "https://h/x-1.0.tar.gz",
        "git+https://h/r.git@v1#egg=x",
        "x @ git+ssh://git@h/r.git",
        "--find-links https://h/links",
        "--pre",
        "--no-index",
        "--trusted-host h",
        "--no-binary :all:",
        "--extra-index-url https://h/s",
        "x ; sys_platform == 'a/b'",
    ],
)
def test_what_is_not_local_stays(tmp_path: Path, line: str):
    assert one(tmp_path, line) == [line]


def test_an_editable_repository_is_installed_as_any_other(tmp_path: Path):
    assert one(tmp_path, "-e git+https://h/r.git#egg=x") == ["git+https://h/r.git#egg=x"]


def test_an_edit_of_a_local_project_counts_and_its_place_and_leftovers_do_not(make_tree):
    one = make_tree({"r.txt": "-e ./lib", "lib/setup.py": "1", "lib/.git/x": "1"}, "one")
    same = make_tree(
        {"r.txt": "../elsewhere", "../elsewhere/setup.py": "1", "../elsewhere/x.egg-info/P": ""}, "same/in"
    )
    other = make_tree({"r.txt": "-e ./lib", "lib/setup.py": "2"}, "other")
    assert read(one / "r.txt").digest == read(same / "r.txt").digest
    assert read(one / "r.txt").digest != read(other / "r.txt").digest


def test_places_are_numbered_in_the_order_of_the_lines_and_shared(make_tree):
    tree = {"a/setup.py": "", "b/setup.py": "", "r.txt": "./b\n-r i.txt\n./b[x]\n", "i.txt": "./a\n./b"}
    root = make_tree(tree)
    assert lines(root / "r.txt") == ["./local-1", "-r include-1.txt", "./local-1[x]"]
    assert texts(root / "r.txt")["include-1.txt"] == "./local-2\n./local-1\n"


def test_the_exec_bit_of_a_distribution_does_not_count(make_tree):
    root = make_tree({"r.txt": "./a-1.0.tar.gz", "a-1.0.tar.gz": "x"})
    before = read(root / "r.txt").digest
    (root / "a-1.0.tar.gz").chmod(0o755)
    assert read(root / "r.txt").digest == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("./gone", r"line 2: './gone' names {root}/gone, which does not exist"),
        ("x @ file:gone.whl", r"names {root}/gone.whl, which does not exist"),
        ("./plain", r"{root}/plain, which is not a Python project"),
        ("--find-links gone", r"names {root}/gone, which does not exist"),
        ("-e ${{HOME}}/lib", "by a variable"),
        ("file://host/lib", "of the machine 'host'"),
        ("file://[", "is not a URL"),
        ("git+file:///repo", "a repository on this machine"),
        ("./lib#sha256=ab", "means nothing to a local path"),
        ("--req other.txt", "no option of a requirements file"),
        ("-r plain", "{root}/plain is a folder"),
        ("-r", "no option of a requirements file"),
        ("--find-links 'x", "does not split into words"),
        ("; x", "is not a requirement"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(make_tree, line: str, message: str):
    root = make_tree({"plain/a": "", "lib/setup.py": ""})
    (root / "r.txt").write_text("x\n" + line.replace("{{", "{").replace("}}", "}"))
    with pytest.raises(SourceError, match=message.format(root=root)) as caught:
        read(root / "r.txt")
    assert caught.value.hint


@pytest.mark.parametrize("source", ["{ workspace = true }", '{ path = "../other" }', '[{ path = "/opt/other" }]'])
@pytest.mark.parametrize("listed", ['dependencies = ["Other>1"]', 'optional-dependencies.x = ["other"]'])
def test_a_project_that_needs_what_is_around_it_is_sent_to_its_lock(make_tree, source: str, listed: str):
    pyproject = f'[project]\nname = "lib"\n{listed}\n[tool.uv.sources]\nother = {source}\n'
    root = make_tree({"r.txt": "./lib", "lib/pyproject.toml": pyproject})
    with pytest.raises(SourceError, match=r"takes 'other' from outside its folder.*\n.*with_uv_project"):
        read(root / "r.txt")


def test_sources_that_are_not_needed_or_inside_do_not_matter(make_tree):
    pyproject = (
        '[project]\nname = "lib"\ndependencies = ["inner"]\n[tool.uv.sources]\n'
        'inner = { path = "./inner" }\nother = { workspace = true }\n'
    )
    root = make_tree({"r.txt": "./lib", "lib/pyproject.toml": pyproject})
    assert lines(root / "r.txt") == ["./local-1"]


def test_uv_installs_what_is_staged(make_tree, tmp_path: Path):
    root = make_tree({"dist/": None, "r.txt": "# c\n-r sub/i.txt  # c\n-c c.txt\n./dist/a-1.0-py3-none-any.whl"})
    for name in "ab":
        with zipfile.ZipFile(root / f"dist/{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    (root / "sub").mkdir()
    (root / "sub/i.txt").write_text("--find-links=../dist --no-index\nB ; python_version \\\n  > '3'\n")
    (root / "c.txt").write_text("b<2")
    read(root / "r.txt").write(tmp_path / "out")
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_OFFLINE": "1",
    }
    for arguments in (
        ["venv", "--python", sys.executable, str(tmp_path / "venv")],
        ["pip", "install", "--python", str(tmp_path / "venv"), "-r", "requirements.txt"],
    ):
        done = subprocess.run(
            [find_uv_bin(), *arguments],
            cwd=tmp_path / "out",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "+ a==1.0" in done.stderr
    assert "+ b==1.0" in done.stderr


# -- credentials -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://user:hunter2@h/s",
        "-i https://hunter2@h/s",
        "x @ https://user:hunter2@h/x.whl",
        "git+https://hunter2@h/r.git",
        "-r https://user:hunter2@h/r.txt",
        "-e git+https://user:hunter2@h/r.git#egg=x",
        "--find-links https://user:hunter2@h/l",
        "--index-url https://${USER}:hunter2@h/s",
    ],
)
def test_credentials_are_refused_by_file_and_line_and_never_shown(make_tree, line: str):
    root = make_tree({"r.txt": "-r i.txt", "i.txt": f"# c\nx \\\n # c\n{line}\n"})
    with pytest.raises(SecretError, match=r"i\.txt, line 4: .*\*\*\*@h.* has credentials") as caught:
        read(root / "r.txt")
    assert "hunter2" not in str(caught.value)
    assert "secret_mounts" in (caught.value.hint or "")
    assert "index_url" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "line", ["--index-url https://${TOKEN}@h/s", "x @ https://u:${TOKEN}@h/x.whl", "--index-url https://${U}:${P}@h/s"]
)
def test_a_variable_in_place_of_credentials_stays_text(tmp_path: Path, line: str):
    assert one(tmp_path, line) == [line]


def test_credentials_in_a_comment_are_not_published(tmp_path: Path):
    assert one(tmp_path, "x # https://u:p@h/s") == ["x"]
