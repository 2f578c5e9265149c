"""What an image says: values, forms of arguments, defaults."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imagebuilder import Image, Secret
from imagebuilder.spec.layers import AptPackages, EnvVars, SourceFile, SourceFolder, User
from imagebuilder.spec.platform import Platform
from imagebuilder.spec.value import Value

BASE = Image.from_debian_base("3.11")


def test_values_are_frozen():
    with pytest.raises(AttributeError, match="frozen"):
        BASE.name = "x"
    with pytest.raises(AttributeError, match="frozen"):
        del BASE.layers
    with pytest.raises(AttributeError, match="frozen"):
        Secret("a").key = "b"


def test_every_call_returns_a_new_image():
    assert BASE.with_pip_packages("a") is not BASE
    assert BASE.layers == ()


def test_equality_and_hash_are_structural_however_a_value_was_made():
    class Pair(Value):
        a: int
        b: int = 2

    assert Pair(1) == Pair(b=2, a=1)
    assert hash(Pair(1)) == hash(Pair(b=2, a=1))
    assert repr(Pair(b=2, a=1)) == "Pair(a=1, b=2)"
    assert Pair(1) != Pair(2)
    assert Pair(1) != (1, 2)
    assert {Pair(1): "x"}[Pair(b=2, a=1)] == "x"
    assert Pair(1).replace(b=5) == Pair(1, 5)
    for wrong in (Pair, lambda: Pair(1, 2, 3), lambda: Pair(1, c=3), lambda: Pair(1, a=1)):
        with pytest.raises(TypeError):
            wrong()


def test_values_of_two_kinds_differ():
    assert BASE.with_pip_packages("git") != BASE.with_apt_packages("git") != BASE.with_commands(["git"])


def test_the_running_interpreter_is_the_default():
    assert Image.from_debian_base() == Image.from_debian_base(sys.version_info[:2])


@pytest.mark.parametrize("version", ["3.11", "3.11.7", (3, 11), [3, 11], (3, 11, 7)])
def test_ways_to_write_a_python_version(version):
    assert Image.from_debian_base(version) == BASE


@pytest.mark.parametrize(
    "platform",
    ["linux/amd64,linux/arm64", ("linux/arm64", "amd64"), ["aarch64", "x86_64"], [Platform("linux", "arm64"), "amd64"]],
)
def test_ways_to_write_platforms(platform):
    image = Image.from_debian_base("3.11", platform=platform)
    assert [str(item) for item in image.platforms] == ["linux/amd64", "linux/arm64"]


def test_the_default_platform_may_be_said():
    assert (
        Image.from_debian_base("3.11", platform="linux/amd64") == BASE == BASE.clone(platform=Platform.parse("amd64"))
    )


@pytest.mark.parametrize(
    "registry", ["ghcr.io", "ghcr.io/team", "localhost:5000", "localhost:5000/a/b", "team", "[::1]:5000"]
)
def test_registries(registry):
    image = Image.from_debian_base("3.11", name="my-app", registry=registry)
    assert image.reference_for("abc") == f"{registry}/my-app:abc"
    assert Image.from_debian_base("3.11", name="my-app", registry=f"{registry}/") == image


def test_names():
    assert BASE.reference_for("abc") == "image:abc"
    assert BASE.clone(registry="ghcr.io/x").reference_for("abc") == "ghcr.io/x/image:abc"
    assert BASE.clone(name="a/b").reference_for("abc") == "a/b:abc"


def test_a_list_where_separate_arguments_are_meant():
    assert BASE.with_pip_packages(["a", "b"]) == BASE.with_pip_packages("a", "b") == BASE.with_pip_packages(("a", "b"))
    assert BASE.with_apt_packages(["git", "curl"]) == BASE.with_apt_packages("git", "curl")
    assert BASE.with_entrypoint(["python", "-m", "x"]) == BASE.with_entrypoint("python", "-m", "x")
    assert BASE.with_wheels(["a.whl", "b"]) == BASE.with_wheels("a.whl", Path("b"))
    assert BASE.with_commands(("a", "b")) == BASE.with_commands(["a", "b"])


def test_strings_and_paths():
    assert BASE.with_source_folder(Path("./my_code"), Path("/app")) == BASE.with_source_folder("./my_code", "/app")
    assert BASE.with_requirements(Path("x/r.txt")) == BASE.with_requirements("x/r.txt")
    assert BASE.with_workdir(Path("/w")) == BASE.with_workdir("/w/")
    assert Image.from_dockerfile(Path("d/Dockerfile"), context=Path("d")) == Image.from_dockerfile(
        "d/Dockerfile", context="d"
    )


def test_one_index_may_be_a_string():
    url = "https://h/simple"
    assert BASE.with_pip_packages("a", extra_index_urls=url) == BASE.with_pip_packages("a", extra_index_urls=[url])


def test_one_secret_may_be_a_string():
    many = BASE.with_commands(["x"], secret_mounts=[Secret("TOKEN"), Secret("TOKEN")])
    assert BASE.with_commands(["x"], secret_mounts="TOKEN") == many


def test_credentials_are_split_off_an_index():
    image = BASE.with_pip_packages("a", index_url="https://b%40b:p%2Fw@h:8443/simple")
    index = image.layers[0].options.index_url
    assert index.url == "https://h:8443/simple"
    assert (index.credential.username, index.credential.password) == ("b@b", "p/w")
    token = BASE.with_pip_packages("a", index_url="https://token@h/simple").layers[0].options.index_url
    assert (token.url, token.credential.username, token.credential.password) == ("https://h/simple", "token", "")
    feed = BASE.with_pip_packages("a", index_url="https://h/_packaging/feed@Local/simple").layers[0].options.index_url
    assert feed.credential is None


@pytest.mark.parametrize(
    "written",
    [
        *("numpy", "numpy>=1.0,<2", "numpy ==1.0", "a[b,c]~=1.0", "a===1", "a!=1.*", "A.b_c-d", "a (>=1)"),
        *('tomli>=2; python_version < "3.11"', "a ; (os_name=='nt' or extra == 'x') and python_version not in '3.9'"),
        *("pkg @ https://h/p-1.whl", "git+https://github.com/a/b@v1#egg=b", "https://h/p-1-py3-none-any.whl"),
        *("a @ git+ssh://git@github.com/a/b.git", "a @ https://h/p.whl#sha256=ab ; sys_platform == 'linux'"),
    ],
)
def test_requirements(written):
    assert BASE.with_pip_packages(written).layers[0].packages == (written,)


def test_a_variable_of_a_secret_may_stand_in_a_url():
    secret = Secret("GITHUB_PAT")
    short = BASE.with_pip_packages("git+https://$GITHUB_PAT@github.com/a/b.git", secret_mounts=[secret])
    long = BASE.with_pip_packages("git+https://${GITHUB_PAT}@github.com/a/b.git", secret_mounts=[secret])
    assert short == long
    both = BASE.with_pip_packages("a @ https://bob:$GITHUB_PAT@h/a.whl", secret_mounts=[secret])
    assert both.layers[0].packages == ("a @ https://bob:${GITHUB_PAT}@h/a.whl",)


@pytest.mark.parametrize("name", ["git", "g++", "libc6:amd64", "curl=7.88.1-10+deb12u5", "vim/bookworm", "0ad", "ab"])
def test_debian_packages(name):
    assert BASE.with_apt_packages(name).layers == (AptPackages((name,)),)


def test_where_a_folder_lands():
    def dst(*args, **kwargs):
        (layer,) = BASE.with_source_folder(*args, **kwargs).layers
        return layer.dst

    assert dst("./my_code", "/app") == "/app"
    assert dst("./my_code", "/app/") == "/app"
    assert dst("./my_code") == "my_code"
    assert dst("a/b/my_code/") == "my_code"
    assert dst("./my_code", copy_contents_only=True) == "."
    assert dst(".", copy_contents_only=True) == "."
    assert dst("./my_code", "lib/code") == "lib/code"
    assert dst("./my_code", "//a//b/./c") == "/a/b/c"
    assert dst("./my_code", "/") == "/"
    assert dst("back\\slash", "/x") == "/x"


def test_where_files_land():
    one = BASE.with_source_file("conf/app.yml", "/etc/app.yml")
    assert one.layers == (SourceFile("conf/app.yml", "/etc/app.yml", "app.yml"),)
    two = BASE.with_source_file(["a.txt", "b.txt"], "/data")
    assert [layer.dst for layer in two.layers] == ["/data/", "/data/"]
    assert BASE.with_source_file("a.txt").layers == (SourceFile("a.txt", ".", "a.txt"),)
    assert BASE.with_source_file("odd\\name").layers == (SourceFile("odd\\name", ".", "odd\\name"),)


def test_ignore_files_come_in_their_order():
    image = BASE.with_dockerignore("a").with_source_folder("x").with_dockerignore("b")
    assert image.ignore_files == ("a", "b")
    assert image.layers == (SourceFolder("x", "x"),)


def test_the_order_of_variables_does_not_matter():
    assert BASE.with_env_vars({"A": "1", "B": "2"}) == BASE.with_env_vars({"B": "2"}).with_env_vars({"A": "1"})
    assert BASE.with_env_vars({"A": "1"}).with_env_vars({"A": "2"}).layers == (EnvVars((("A", "2"),)),)
    assert BASE.with_env_vars({}) == BASE == BASE.with_labels({})
    assert BASE.with_labels({"b": "", "a": "x"}) == BASE.with_labels({"a": "x"}).with_labels({"b": ""})


def test_values_of_variables_are_literal():
    values = {"A": "$HOME", "B": 'a "b" \\', "C": "", "D": "é ü"}
    assert dict(BASE.with_env_vars(values).layers[0].variables) == values


def test_root_is_root_with_or_without_its_number():
    assert BASE.with_user("root", uid=0) == BASE.with_user("root")
    assert BASE.with_user("worker", 1001).layers == (User("worker", 1001),)


def test_an_entrypoint_may_be_cleared_and_have_empty_arguments():
    assert BASE.with_entrypoint() == BASE.with_entrypoint([])
    assert BASE.with_entrypoint("sh", "-c", "").layers[0].args == ("sh", "-c", "")


def test_clone_changes_what_is_given():
    image = Image.from_debian_base("3.11", name="a", registry="ghcr.io/x").with_pip_packages("numpy")
    clone = image.clone(name="b", python_version="3.12", platform="linux/arm64", registry_secret="LOGIN")
    assert clone == Image.from_debian_base(
        "3.12", name="b", registry="ghcr.io/x", platform="linux/arm64", registry_secret=Secret("LOGIN")
    ).with_pip_packages("numpy")
    assert image.clone() == image


def test_a_login_stays_with_the_registry_it_was_written_for():
    image = Image.from_debian_base("3.11", registry="ghcr.io/x", registry_secret="LOGIN")
    assert image.clone(registry="ghcr.io/y").registry_secret is None
    assert image.clone(registry="ghcr.io/x/").registry_secret == Secret("LOGIN")
    assert image.clone(registry="ghcr.io/y", registry_secret="OTHER").registry_secret == Secret("OTHER")


def test_pipe_applies_a_recipe():
    def with_tools(image: Image, *packages: str, workdir: str) -> Image:
        return image.with_apt_packages(*packages).with_workdir(workdir)

    assert BASE.pipe(with_tools, "git", workdir="/w") == with_tools(BASE, "git", workdir="/w")


def test_a_base_without_layers_is_its_own_uri():
    assert Image.from_base("python:3.11", registry="ghcr.io/x").uri == "python:3.11"


def test_secrets_have_a_default_variable():
    assert Secret("my-api-key").variable == "MY_API_KEY"
    assert Secret("my-api-key", group="external-services").variable == "EXTERNAL_SERVICES_MY_API_KEY"
    assert Secret("1st").variable == "_1ST"
    assert Secret("key", mount="/etc/flyte/secrets/my-secret").variable is None
    assert Secret("key", mount="/x", as_env_var="KEY").variable == "KEY"
    assert Secret("key", mount=Path("/x y,z")).mount == "/x y,z"
