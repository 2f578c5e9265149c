from __future__ import annotations

import pytest

from imagebuilder.packages.arguments import UntranslatableError, compile_arguments, export_arguments


def test_what_chooses_is_kept_and_what_is_manner_is_not() -> None:
    given = ("--no-deps", "--link-mode", "copy", "--prerelease=allow", "-P", "numpy", "--compile-bytecode", "-q")
    assert compile_arguments(given) == ("--no-deps", "--prerelease", "allow", "-P", "numpy")
    given = ("--extra", "x", "--no-install-package=y", "--no-install-workspace", "--index", "https://h.example", "-v")
    assert export_arguments(given) == ("--extra", "x", "--no-emit-package", "y", "--no-emit-workspace")
    assert compile_arguments(("--require-hashes",)) == ()


@pytest.mark.parametrize(
    "word",
    [
        "--reinstall",
        "--no-build-isolation",
        "--target=/x",
        "-c",
        "numpy",
        "--find-links=/wheels",
        "--index=./simple",
        "--index=file:///x",
        "--torch-backend=auto",
        "--no-deps=yes",
        "--prerelease",
        "--python-platform=linux",
        "--output-file=/etc/passwd",
        "--config-file=x",
    ],
)
def test_what_only_the_image_understands_is_refused(word: str) -> None:
    with pytest.raises(UntranslatableError):
        compile_arguments((word,))


@pytest.mark.parametrize("word", ["--locked", "--active", "--script=x", "--output-file=/x", "--reinstall", "--group"])
def test_the_same_for_projects(word: str) -> None:
    with pytest.raises(UntranslatableError):
        export_arguments((word,))
