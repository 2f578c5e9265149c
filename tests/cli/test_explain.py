from __future__ import annotations

import pytest

from imagebuilder.config import load
from imagebuilder.identity.labels import record, to_labels
from imagebuilder.registry import Fault

SPEC = """
image = (
    Image.from_debian_base('3.11', name='web')
    .with_pip_packages('{package}')
    .with_source_folder('./my_code', '/app')
)
"""


@pytest.fixture
def pushed(project, registry, push_image):
    """The reference of an image that was made from spec.py."""
    from imagebuilder.cli.specs import find_one

    project.write("my_code/app/main.py", "print(1)")
    spec = project.spec(SPEC.format(package="numpy"))
    item = load().make_resolver().identify([("image", find_one(spec, None).image)])[0]
    push_image(f"{registry.host}/web:1", dict(to_labels(record(item.image, item.identity, item.materials))))
    return f"{registry.host}/web:1"


def test_the_same_image(project, pushed):
    ended = project.run("explain", "spec.py", pushed)
    assert (ended.code, ended.out) == (0, "the same image\n")
    assert project.run("explain", "spec.py", "spec.py:image", "--json").json["same"] is True


def test_a_file_changed_since_an_image_was_pushed(project, pushed):
    project.write("my_code/app/main.py", "print(2)")
    ended = project.run("explain", pushed, "spec.py")
    assert (ended.code, ended.out) == (1, "layer 2, source folder ./my_code: app/main.py changed\n")


def test_two_specs(project, pushed):
    project.spec(SPEC.format(package="scipy"), "other.py")
    ended = project.run("explain", "spec.py", "other.py:web", "--json")
    assert ended.code == 1
    assert ended.json["differences"] == ["layer 1, pip packages scipy: added scipy, removed numpy"]
    assert ended.json["old"]["identifier"] != ended.json["new"]["identifier"]


def test_a_spec_of_several_images_wants_a_name(project):
    project.spec("a = Image.from_debian_base('3.11')\nb = Image.from_debian_base('3.12')\n")
    ended = project.run("explain", "spec.py", "spec.py:b")
    assert ended.code == 2
    assert "spec.py holds several images: a, b\n  hint: say which: spec.py:a" in ended.err
    ended = project.run("explain", "spec.py:a", "spec.py:b")
    assert (ended.code, ended.out) == (1, "debian base with python 3.12: was debian base with python 3.11\n")


def test_an_image_that_is_not_there_is_1_and_one_that_cannot_be_asked_for_3(project, pushed, registry):
    assert project.run("explain", "spec.py", f"{registry.host}/web:2").code == 1
    registry.fault(Fault(path="/web/", status=403))
    assert project.run("explain", "spec.py", pushed).code == 3


def test_an_image_of_somebody_elses(project, pushed, registry, push_image):
    push_image(f"{registry.host}/foreign:1")
    ended = project.run("explain", "spec.py", f"{registry.host}/foreign:1")
    assert ended.code == 3
    assert "carries no labels of this project" in ended.err


def test_a_name_that_is_none_is_hinted_at_as_explain_takes_it(project):
    project.spec("hello = Image.from_debian_base('3.11', name='web')\n")
    ended = project.run("explain", "spec.py:other", "spec.py:hello")
    assert ended.code == 2
    assert "spec.py has no image named 'other'; there is hello (web)\n  hint: write spec.py:hello\n" in ended.err
    assert "none.py does not exist" in project.run("explain", "none.py:other", "spec.py").err


def test_the_flags_of_build_hold_for_specs(project, registry, push_image):
    spec = project.spec("image = Image.from_debian_base('3.11', name='web').with_env_vars({'A': '1'})\n")
    flags = ("--platform", "linux/arm64", "--registry", f"{registry.host}/team")
    (built,) = project.run("identify", spec, *flags, "--json").json["images"]
    from imagebuilder.cli.specs import find_one, published_at

    item = load().make_resolver().identify(published_at([find_one(spec, None)], None, ["linux/arm64"]))[0]
    push_image(built["uri"], dict(to_labels(record(item.image, item.identity, item.materials))))
    assert project.run("explain", built["uri"], spec, *flags).out == "the same image\n"
    assert project.run("explain", built["uri"], spec).out == "platform: linux/arm64 became linux/amd64\n"
