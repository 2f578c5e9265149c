"""Which images of a Python file are found, and what is said where something is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imagebuilder.cli.specs import find_images, find_one, is_spec, published_at
from imagebuilder.errors import SpecError
from imagebuilder.spec.secret import Secret


def titles(file, *names):
    return [image.title for image in find_images([file], names)]


def test_images_are_found_in_the_order_in_which_they_are_defined(project):
    spec = project.spec("b = Image.from_debian_base('3.11')\na = b.with_env_vars({'A': '1'})\n")
    assert titles(spec) == ["b", "a"]


def test_what_holds_an_image_is_found(project):
    spec = project.spec("""
        class Environment:
            image = None
        env = Environment()
        env.image = Image.from_debian_base('3.11')
    """)
    assert titles(spec) == ["env"]


def test_one_image_under_two_names_is_found_once_and_answers_to_both(project):
    spec = project.spec("""
        class Environment:
            pass
        first = Image.from_debian_base('3.11')
        second = first
        env = Environment()
        env.image = first
    """)
    assert titles(spec) == ["first"]
    assert titles(spec, "env") == titles(spec, "second") == ["first"]


def test_equal_images_under_two_names_are_two(project):
    spec = project.spec("a = Image.from_debian_base('3.11')\nb = Image.from_debian_base('3.11')\n")
    assert titles(spec) == ["a", "b"]


def test_names_with_an_underscore_modules_and_classes_are_skipped(project):
    project.spec("image = Image.from_debian_base('3.11')", "other.py")
    spec = project.spec("""
        import other
        class Base:
            image = Image.from_debian_base('3.12')
        _private = Image.from_debian_base('3.11')
        public = Image.from_debian_base('3.11')
    """)
    assert titles(spec) == ["public"]


def test_an_attribute_that_cannot_be_read_is_no_image(project):
    spec = project.spec("""
        class Broken:
            @property
            def image(self):
                raise RuntimeError
        broken = Broken()
        image = Image.from_debian_base('3.11')
    """)
    assert titles(spec) == ["image"]


def test_images_are_chosen_by_variable_and_by_name(project):
    spec = project.spec("""
        one = Image.from_debian_base('3.11', name='web')
        two = Image.from_debian_base('3.11', name='worker')
        three = Image.from_debian_base('3.11')
    """)
    assert titles(spec, "worker", "three") == ["two", "three"]
    with pytest.raises(SpecError, match=r"no image is named 'x'; there is one \(web\), two \(worker\), three"):
        titles(spec, "x")


def test_several_files_have_their_own_neighbours_and_tell_their_images_apart(project):
    for folder, version in (("a", "3.11"), ("b", "3.12")):
        project.write(f"{folder}/common.py", f"VERSION = '{version}'\n")
        project.spec("import common\nimage = Image.from_debian_base(common.VERSION)\n", f"{folder}/spec.py")
    found = find_images([Path("a/spec.py"), Path("b/spec.py")])
    assert [image.title for image in found] == ["a/spec.py:image", "b/spec.py:image"]
    assert [image.image.base.python_version for image in found] == [(3, 11), (3, 12)]
    assert "common" not in sys.modules
    assert "spec" not in sys.modules


def test_an_edit_within_the_same_second_is_seen(project):
    for version in ("3.11", "3.12", "3.13"):
        spec = project.spec(f"image = Image.from_debian_base('{version}')")
        assert str(find_one(spec, None).image.base.python_version[1]) == version[2:]


def test_a_file_may_have_the_name_of_a_module_that_is_in_use(project):
    spec = project.spec("import json\nimage = Image.from_debian_base('3.11', name=json.loads('\"x\"'))", "types.py")
    assert titles(spec) == ["image"]
    assert not hasattr(sys.modules["types"], "image")


def test_a_file_sees_itself_as_a_module(project):
    spec = project.spec(
        """
        from __future__ import annotations
        import sys
        from dataclasses import dataclass
        from typing import ClassVar
        @dataclass
        class Environment:
            image: Image
            kind: ClassVar[str] = "env"
        env = Environment(Image.from_debian_base('3.11', name=__name__))
        assert sys.modules[__name__].__file__ == __file__
        assert sys.argv == ["spec.py"]
    """.replace("        from __future__", "\n        from __future__")
    )
    spec.write_text(
        "from __future__ import annotations\n" + spec.read_text().replace("from __future__ import annotations", "")
    )
    assert find_one(spec, "spec").title == "env"


def test_the_main_guard_does_not_run(project):
    spec = project.spec("image = Image.from_debian_base('3.11')\nif __name__ == '__main__':\n    raise SystemExit(9)\n")
    assert titles(spec) == ["image"]


def test_a_flags_registry_goes_before_the_specs_and_takes_no_login_along(project):
    spec = project.spec("""
        image = Image.from_debian_base('3.11', registry='ghcr.io/team', registry_secret='LOGIN')
        base = Image.from_base('python:3.11-slim')
    """)
    found = find_images([spec])
    (_, same), _ = published_at(found, "ghcr.io/team")
    assert same.registry_secret == Secret("LOGIN")
    (_, moved), (_, base) = published_at(found, "localhost:5000", ["linux/arm64,linux/amd64"])
    assert (moved.registry, moved.registry_secret) == ("localhost:5000", None)
    assert list(map(str, moved.platforms)) == ["linux/amd64", "linux/arm64"]
    assert base.registry is None


def test_what_is_a_spec(project):
    project.write("here.py", "")
    assert is_spec("here.py")
    assert is_spec("missing.py")
    assert not is_spec("localhost:5000/app:1.py")
    assert not is_spec("python:3.11")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "spec.py holds no image"),
        ("x = (\n", "spec.py:1: SyntaxError: '(' was never closed\n    x = ("),
        ("\nx = y\n", "spec.py:2: NameError: name 'y' is not defined"),
        ("raise SystemExit(3)\n", "spec.py:1: the file ends the program with exit code 3"),
        ("raise SystemExit\n", "spec.py:1: the file ends the program with exit code 0"),
        ("import no_such_module\n", "spec.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise ValueError\n", "spec.py:1: ValueError"),
        ("raise ValueError('two\\nlines')\n", "spec.py:1: ValueError: two\nlines"),
        (
            "def f():\n    return 1 / 0\nf()\n",
            "spec.py:2: ZeroDivisionError: division by zero\n    spec.py:3: f()\n    spec.py:2: return 1 / 0",
        ),
        (
            "from imagebuilder import Image\n\nImage.from_debian_base('3.11').with_apt_packages('a b')\n",
            "spec.py:3: with_apt_packages(): 'a b' is not the name of a Debian package",
        ),
        ("import json\njson.loads('x')\n", "spec.py:2: JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(project, text, message):
    spec = project.write("spec.py", text)
    with pytest.raises(SpecError) as raised:
        find_images([spec])
    assert raised.value.message == message


def test_what_is_wrong_in_a_neighbour_is_said_with_the_neighbours_place(project):
    project.write("team/recipes.py", "def tools(image):\n    return image.with_workdir('../x')\n")
    project.write("team/bad.py", "x = = 1\n")
    spec = project.spec(
        "from recipes import tools\nimage = Image.from_debian_base('3.11').pipe(tools)\n", "team/spec.py"
    )
    with pytest.raises(SpecError, match=r"^team/recipes\.py:2: with_workdir\(\)"):
        find_images([spec])
    spec = project.spec("import bad\n", "team/spec.py")
    with pytest.raises(SpecError, match=r"^team/bad\.py:1: SyntaxError"):
        find_images([spec])


def test_deep_recursion_is_told_in_a_few_lines(project):
    spec = project.write("spec.py", "def f():\n    f()\nf()\n")
    with pytest.raises(SpecError, match="RecursionError") as raised:
        find_images([spec])
    assert raised.value.message.count("\n") == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing.py", "does not exist"), ("folder", "is a folder"), ("notes.txt", "is not a Python file")],
)
def test_what_is_no_python_file(project, name, message):
    (project.folder / "folder").mkdir()
    project.write("notes.txt", "")
    with pytest.raises(SpecError, match=message):
        find_images([Path(name)])


def test_bytes_that_are_no_python(project):
    (project.folder / "nul.py").write_bytes(b"x = 1\0")
    (project.folder / "latin.py").write_bytes(b"x = '\xff'")
    for name in ("nul.py", "latin.py"):
        with pytest.raises(SpecError, match=name):
            find_images([Path(name)])


def test_what_a_file_prints_goes_to_standard_error(project):
    spec = project.spec("""
        import os, subprocess, sys
        print("from python")
        subprocess.run([sys.executable, "-c", "print('from a child')"])
        image = Image.from_debian_base('3.11', name='x')
    """)
    ended = project.run("identify", spec, "--json")
    assert ended.code == 0
    assert ended.json["images"][0]["name"] == "image"
    assert "from python" in ended.err
    assert "from a child" in ended.err
