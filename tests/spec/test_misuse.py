"""What cannot mean anything raises at its line, with the call that was meant."""

from __future__ import annotations

import pytest

from imagebuilder import Image, Secret
from imagebuilder.errors import ImageBuilderError, SpecError

BASE = Image.from_debian_base("3.11")

MISUSE = {
    "a float is no version": (lambda: Image.from_debian_base(3.10), 'python_version="3.11" or python_version=(3, 11)'),
    "a version of another Python": (lambda: Image.from_debian_base("2.7"), 'python_version="3.11"'),
    "a version that is no version": (lambda: Image.from_debian_base((3, True)), "(3, 11)"),
    "the SDK twice": (lambda: Image.from_debian_base().with_sdk(), "leave with_sdk() out"),
    "another SDK than the default": (
        lambda: Image.from_debian_base().with_sdk("0.0.9"),
        "write from_debian_base(install_sdk='0.0.9')",
    ),
    "no version of the SDK": (lambda: Image.from_debian_base(install_sdk="new"), 'write "0.1.0"'),
    "the SDK of a base that says nothing": (lambda: Image.from_base("x").with_sdk(), 'with_sdk(python_version="3.11")'),
    "the SDK for another Python": (
        lambda: Image.from_uv_script("x.py").with_sdk(python_version="3.9"),
        "write with_sdk()",
    ),
    "the SDK in a Dockerfile": (
        lambda: Image.from_dockerfile("Dockerfile").with_sdk(python_version="3.9"),
        "Dockerfile",
    ),
    "a platform of nothing": (lambda: Image.from_debian_base(platform=[]), 'platform="linux/amd64"'),
    "a platform of numbers": (lambda: Image.from_debian_base(platform=64), 'platform="linux/amd64"'),
    "half a platform": (lambda: Image.from_debian_base(platform="linux"), "linux/amd64"),
    "too much platform": (lambda: Image.from_debian_base(platform="a/b/c/d"), "linux/amd64"),
    "an empty name": (lambda: Image.from_debian_base(name=""), 'name="my-app"'),
    "a name with a tag": (lambda: Image.from_debian_base(name="app:1"), 'name="my-app"'),
    "a name with a digest": (lambda: Image.from_debian_base(name="app@sha256:1"), 'name="my-app"'),
    "a name in capitals": (lambda: Image.from_debian_base(name="My-App"), 'name="my-app"'),
    "a name with a space": (lambda: Image.from_debian_base(name="my app"), 'name="my-app"'),
    "a name with a newline": (lambda: Image.from_debian_base(name="my\napp"), "one line"),
    "a name that climbs": (lambda: Image.from_debian_base(name="../app"), 'name="my-app"'),
    "an empty registry": (lambda: Image.from_debian_base(registry="/"), 'registry="ghcr.io/team"'),
    "a registry with a scheme": (lambda: Image.from_debian_base(registry="https://ghcr.io"), 'registry="ghcr.io/team"'),
    "a registry with a bad port": (lambda: Image.from_debian_base(registry="host:99999"), 'registry="ghcr.io/team"'),
    "several registry secrets": (lambda: Image.from_debian_base(registry_secret=["a", "b"]), "registry_secret="),
    "a base that is no reference": (lambda: Image.from_base("Not A Reference"), "registry/name:tag"),
    "an empty base": (lambda: Image.from_base(""), "registry/name:tag"),
    "a base that is no string": (lambda: Image.from_base(None), "Image.from_base("),
    "a base in the constructor": (lambda: Image("python:3.11"), "Image.from_base('python:3.11')"),
    "a Dockerfile takes no layers": (
        lambda: Image.from_dockerfile("Dockerfile").with_pip_packages("a"),
        "Image.from_base(...)",
    ),
    "nor settings": (
        lambda: Image.from_dockerfile("Dockerfile").with_env_vars({"A": "1"}),
        "write it into the Dockerfile",
    ),
    "nor an ignore file": (lambda: Image.from_dockerfile("Dockerfile").with_dockerignore("x"), ".dockerignore"),
    "nor another Python": (
        lambda: Image.from_dockerfile("Dockerfile").clone(python_version="3.12"),
        "from_debian_base",
    ),
    "no package": (BASE.with_pip_packages, 'with_pip_packages("numpy"'),
    "a set of packages": (lambda: BASE.with_pip_packages({"a", "b"}), 'with_pip_packages("numpy"'),
    "an empty package": (lambda: BASE.with_pip_packages(" "), 'with_pip_packages("numpy"'),
    "two packages in one": (lambda: BASE.with_pip_packages("numpy scipy"), "write 'numpy', 'scipy'"),
    "shell for a package": (lambda: BASE.with_pip_packages("numpy; rm -rf /"), "PEP 508"),
    "more shell for a package": (lambda: BASE.with_pip_packages("$(id)"), "PEP 508"),
    "a marker with shell": (lambda: BASE.with_pip_packages("a; python_version < '3' $(id)"), "PEP 508"),
    "lines for a package": (lambda: BASE.with_pip_packages("numpy\nscipy"), "write 'numpy', 'scipy'"),
    "an option for a package": (lambda: BASE.with_pip_packages("--pre"), "extra_args='--pre'"),
    "an indented option for a package": (lambda: BASE.with_pip_packages(" -rx"), "extra_args="),
    "a path for a package": (lambda: BASE.with_pip_packages("./lib"), "with_wheels(...)"),
    "a wheel for a package": (lambda: BASE.with_pip_packages("a-1-py3-none-any.whl"), "with_wheels(...)"),
    "a file URL for a package": (lambda: BASE.with_pip_packages("a @ file:///x"), "with_wheels(...)"),
    "credentials in a package": (
        lambda: BASE.with_pip_packages("a @ https://bob:pw@h/a.whl"),
        'https://${TOKEN}@host/... with secret_mounts=[Secret("TOKEN")]',
    ),
    "a variable without its secret": (
        lambda: BASE.with_pip_packages("git+https://$PAT@github.com/a/b.git"),
        'secret_mounts=[Secret("pat", as_env_var="PAT")]',
    ),
    "an index that is no URL": (lambda: BASE.with_pip_packages("a", index_url="pypi"), "https://host/simple"),
    "an index of another kind": (lambda: BASE.with_pip_packages("a", index_url="ftp://h/x"), "https://host/simple"),
    "an index with a newline": (lambda: BASE.with_pip_packages("a", index_url="https://h\n/x"), "https://host/simple"),
    "a raw slash in a password": (lambda: BASE.with_pip_packages("a", index_url="https://b:p/w@h/x"), "%2F"),
    "indexes in a set": (lambda: BASE.with_pip_packages("a", extra_index_urls={"https://h"}), "extra_index_urls=["),
    "credentials in extra_args": (
        lambda: BASE.with_pip_packages("a", extra_args="--index-url https://b:p@h"),
        "index_url or extra_index_urls",
    ),
    "extra_args in a list": (lambda: BASE.with_pip_packages("a", extra_args=["--pre"]), 'extra_args="'),
    "extra_args that do not end": (lambda: BASE.with_pip_packages("a", extra_args="'"), None),
    "extra_args on two lines": (lambda: BASE.with_pip_packages("a", extra_args="a\nb"), "one line"),
    "pre that is not a bool": (lambda: BASE.with_pip_packages("a", pre="yes"), None),
    "a secret that is none": (lambda: BASE.with_pip_packages("a", secret_mounts=[1]), "Secret(key="),
    "two secrets in one variable": (
        lambda: BASE.with_commands(["x"], secret_mounts=[Secret("a", as_env_var="X"), Secret("b", as_env_var="X")]),
        "as_env_var=",
    ),
    "two secrets in one file": (
        lambda: BASE.with_commands(["x"], secret_mounts=[Secret("a", mount="/x"), Secret("b", mount="/x")]),
        "another mount",
    ),
    "an install mode": (lambda: BASE.with_uv_project("p", project_install_mode="all"), '"install_project"'),
    "an install mode of poetry": (lambda: BASE.with_poetry_project("p", project_install_mode=1), '"install_project"'),
    "a path that is none": (lambda: BASE.with_requirements(None), 'with_requirements("requirements.txt")'),
    "an empty path": (lambda: BASE.with_pylock(""), 'with_pylock("pylock.toml")'),
    "no wheels": (BASE.with_wheels, 'with_wheels("./dist")'),
    "no wheels in a list": (lambda: BASE.with_wheels([]), 'with_wheels("./dist")'),
    "no Debian package": (BASE.with_apt_packages, 'with_apt_packages("git"'),
    "shell for a Debian package": (lambda: BASE.with_apt_packages("git; id"), "with_commands([...])"),
    "an option for a Debian package": (lambda: BASE.with_apt_packages("--purge"), "with_commands([...])"),
    "two Debian packages in one": (lambda: BASE.with_apt_packages("git curl"), "with_apt_packages('git', 'curl')"),
    "a Debian package to remove": (lambda: BASE.with_apt_packages("git-"), "with_apt_packages("),
    "commands in one string": (lambda: BASE.with_commands("make install"), "with_commands(['make install'])"),
    "no commands": (lambda: BASE.with_commands([]), "with_commands(["),
    "commands of None": (lambda: BASE.with_commands(None), "with_commands(["),
    "commands without order": (lambda: BASE.with_commands({"a", "b"}), "with_commands(["),
    "an empty command": (lambda: BASE.with_commands(["\n"]), "with_commands(["),
    "a command with NUL": (lambda: BASE.with_commands(["a\0b"]), None),
    "a command of no text": (lambda: BASE.with_commands(["\udc80"]), None),
    "a numeric user": (lambda: BASE.with_user("1000"), 'with_user("worker", uid=1001)'),
    "a user with a newline": (lambda: BASE.with_user("a\nUSER root"), "one line"),
    "a user with a space": (lambda: BASE.with_user("a b"), 'with_user("worker")'),
    "a uid that is none": (lambda: BASE.with_user("a", uid=True), 'with_user("a", uid=1001)'),
    "a uid below nought": (lambda: BASE.with_user("a", uid=-1), 'with_user("a", uid=1001)'),
    "root by another name": (lambda: BASE.with_user("a", uid=0), None),
    "root with another uid": (lambda: BASE.with_user("root", uid=5), None),
    "a destination that climbs": (lambda: BASE.with_source_folder("x", "../../etc"), "absolute path in the image"),
    "one that climbs inside": (lambda: BASE.with_source_folder("x", "/app/../etc"), "absolute path in the image"),
    "a file that climbs": (lambda: BASE.with_source_file("x", "../x"), "absolute path in the image"),
    "a workdir that climbs": (lambda: BASE.with_workdir("/a/.."), "absolute path in the image"),
    "a workdir with a newline": (lambda: BASE.with_workdir("/a\nRUN id"), "one line"),
    "a workdir with NUL": (lambda: BASE.with_workdir("/a\0"), None),
    "an empty workdir": (lambda: BASE.with_workdir(""), 'with_workdir("/app")'),
    "a workdir at home": (lambda: BASE.with_workdir("~/x"), "absolute path"),
    "a destination of Windows": (lambda: BASE.with_source_folder("x", "C:\\app"), "'/'"),
    "a folder without a name": (lambda: BASE.with_source_folder("."), "copy_contents_only=True"),
    "a folder above without a name": (lambda: BASE.with_source_folder(".."), "copy_contents_only=True"),
    "one pattern in a string": (lambda: BASE.with_source_folder("x", ignore="*.csv"), "ignore=['*.csv']"),
    "a flag that is none": (lambda: BASE.with_source_folder("x", copy_contents_only="/app"), None),
    "no files": (lambda: BASE.with_source_file([]), "with_source_file("),
    "a file without a name": (lambda: BASE.with_source_file(".."), "with_source_file("),
    "files of one name": (lambda: BASE.with_source_file(["a/x", "b/x"], "/app"), None),
    "variables in a list": (lambda: BASE.with_env_vars(["A=1"]), 'with_env_vars({"MODE": "fast"})'),
    "a variable of a number": (lambda: BASE.with_env_vars({"A": 1}), "with_env_vars({'A': \"1\"})"),
    "a variable with a newline": (lambda: BASE.with_env_vars({"A": "1\nUSER root"}), "one line"),
    "a variable with a return": (lambda: BASE.with_env_vars({"A": "1\rUSER root"}), "one line"),
    "a variable with NUL": (lambda: BASE.with_env_vars({"A": "\0"}), None),
    "a name with =": (lambda: BASE.with_env_vars({"A=B": "1"}), "with_env_vars({"),
    "a name with a blank": (lambda: BASE.with_env_vars({"A B": "1"}), "with_env_vars({"),
    "an empty variable": (lambda: BASE.with_env_vars({"": "1"}), "with_env_vars({"),
    "a label with a newline": (lambda: BASE.with_labels({"a": "1\nUSER root"}), "one line"),
    "a label's name with a newline": (lambda: BASE.with_labels({"a\nb": "1"}), "one line"),
    "a label's name with =": (lambda: BASE.with_labels({"a=b": "1"}), "with_labels({"),
    "an empty label": (lambda: BASE.with_labels({"": "1"}), "with_labels({"),
    "a label of the build's": (lambda: BASE.with_labels({"io.imagebuilder.identifier": "x"}), "written by the build"),
    "an entrypoint of None": (lambda: BASE.with_entrypoint(None), 'with_entrypoint("python"'),
    "an entrypoint without a program": (lambda: BASE.with_entrypoint("", "x"), 'with_entrypoint("python"'),
    "a recipe without a result": (lambda: BASE.pipe(lambda image: None), "return the image"),
    "a secret without a key": (lambda: Secret(""), 'Secret(key="API_TOKEN")'),
    "a secret with a number": (lambda: Secret(5), 'Secret(key="API_TOKEN")'),
    "a secret with an empty group": (lambda: Secret("a", group=""), "Secret(key="),
    "a secret with a newline": (lambda: Secret("a\nb"), None),
    "a secret at a relative path": (lambda: Secret("a b", mount="x"), 'mount="/run/secrets/a-b"'),
    "a secret at a folder": (lambda: Secret("a", mount="/x/"), 'mount="/run/secrets/a"'),
    "a secret that climbs": (lambda: Secret("a", mount="/x/../y"), 'mount="/run/secrets/a"'),
    "a secret's bad variable": (lambda: Secret("a-b", as_env_var="a b"), 'as_env_var="A_B"'),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name):
    call, right = MISUSE[name]
    with pytest.raises(SpecError) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ImageBuilderError)
    assert caught.value.exit_code == 2
    if right is not None:
        assert right in (caught.value.hint or "")
    assert "hunter2" not in str(caught.value)


def test_a_refused_url_is_shown_masked():
    for call in (
        lambda: BASE.with_pip_packages("a @ https://bob:hunter2@h/a.whl"),
        lambda: BASE.with_pip_packages("a", index_url="ftp://bob:hunter2@h/a"),
        lambda: BASE.with_pip_packages("a", index_url="https://bob:hunter2/1@h/a"),
        lambda: BASE.with_pip_packages("a", extra_args="-i https://bob:hunter2@h/a"),
    ):
        with pytest.raises(SpecError) as caught:
            call()
        assert "hunter2" not in str(caught.value)
