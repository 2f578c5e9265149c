from __future__ import annotations

import imagebuilder
from imagebuilder import Image


def test_identifier_and_uri_of_one_image(project):
    spec = project.spec("image = Image.from_debian_base('3.11', name='web', registry='ghcr.io/team')")
    ended = project.run("identify", spec)
    identifier = Image.from_debian_base("3.11").identifier
    assert ended.out == f"{identifier}  ghcr.io/team/web:{identifier}\n"
    assert ended.err == ""


def test_several_images_are_named(project):
    spec = project.spec("web = Image.from_debian_base('3.11')\nworker = Image.from_debian_base('3.12')\n")
    lines = project.run("identify", spec).out.splitlines()
    assert [line.split()[0] for line in lines] == ["web", "worker"]
    assert project.run("identify", spec, "--name", "worker").out == lines[1].removeprefix("worker  ") + "\n"


def test_the_document(project):
    project.write("my_code/main.py", "print()")
    spec = project.spec("image = Image.from_debian_base('3.11', name='web').with_source_folder('./my_code', '/app')")
    document = project.run("identify", spec, "--json", "--registry", "localhost:5000", "--platform", "linux/arm64").json
    (image,) = document["images"]
    assert image["uri"] == f"localhost:5000/web:{image['identifier']}"
    assert image["platforms"] == ["linux/arm64"]
    assert [layer["title"] for layer in image["layers"]] == ["debian base with python 3.11", "source folder ./my_code"]
    assert all(len(layer["digest"]) == 64 for layer in image["layers"])


def test_relative_paths_are_relative_to_the_current_directory(project):
    project.write("my_code/main.py", "print()")
    spec = project.spec("image = Image.from_debian_base('3.11').with_source_folder('my_code', '/app')", "specs/spec.py")
    ended = project.run("identify", spec)
    assert ended.code == 0
    (identifier,) = imagebuilder.identify(Image.from_debian_base("3.11").with_source_folder("my_code", "/app"))
    assert ended.out.startswith(identifier)


def test_a_missing_source_is_2(project):
    spec = project.spec("image = Image.from_debian_base('3.11').with_source_folder('nowhere', '/app')")
    ended = project.run("identify", spec)
    assert ended.code == 2
    assert str(project.folder / "nowhere") in ended.err
