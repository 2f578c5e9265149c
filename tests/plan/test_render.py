"""Rendered Dockerfiles: what they say, and that nothing breaks out of its instruction."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder import Image, Secret
from imagebuilder.errors import SpecError
from imagebuilder.identity.identifier import identify
from imagebuilder.identity.labels import LABEL_PREFIX
from imagebuilder.identity.recipe import recipe
from imagebuilder.plan.lower import lower, needs_base_user
from imagebuilder.plan.ops import DockerfilePlan, Plan
from imagebuilder.plan.render import Rendered, render
from imagebuilder.plan.secrets import needs
from imagebuilder.sources.material import Material, Text
from imagebuilder.sources.materials import Materials
from imagebuilder.spec.base import NamedBase, ScriptBase

BASE = Image.from_debian_base("3.11", install_sdk=False)
SDK = Material((("lib/sdk.py", Text(b"x")),))
OTHER = Image.from_base("ghcr.io/team/base:1.0")


def materials(image: Image) -> Materials:
    def of(part: object) -> Material | None:
        if not part.where:
            return None
        name = getattr(part, "name", "")
        return Material(((name or "file", Text(b"x")),), name)

    version = (3, 11) if isinstance(image.base, ScriptBase) else None
    return Materials(of(image.base), tuple(map(of, image.layers)), version)


def plan(image: Image, base_user: str = "") -> Plan:
    read = materials(image)
    made = lower(image, identify(image, read, recipe()), read, recipe(), base_user, SDK)
    assert isinstance(made, Plan)
    return made


def rendered(image: Image, base_user: str = "", **where: bool) -> Rendered:
    return render(plan(image, base_user), **where)


def last_stage(reader, image: Image, base_user: str = "", **where: bool):
    return reader.read(rendered(image, base_user, **where).dockerfile)[-1]


def only(stage, name: str):
    return [item for item in stage if item.name == name]


def test_bytecode_may_be_left_out() -> None:
    image = BASE.with_pip_packages("click")
    lines = rendered(image).dockerfile.splitlines()
    without = rendered(image, bytecode=False).dockerfile.splitlines()
    (line,) = [line for line in lines if "compileall" in line]
    assert without == [other for other in lines if other != line]


def test_golden_dockerfiles(golden, golden_specs):
    found = golden.dockerfiles(golden_specs)
    kept = {path.stem: path.read_bytes().decode() for path in golden.DOCKERFILES.glob("*.Dockerfile")}
    changed = sorted(name for name in found.keys() | kept.keys() if found.get(name) != kept.get(name))
    assert not changed, f"{', '.join(changed)} changed: run scripts/goldens and review the diff"


def test_every_step_is_shell(golden, golden_specs, reader):
    shell = shutil.which("dash") or "/bin/sh"
    count = 0
    scripts = set()
    for name, text in golden.dockerfiles(golden_specs).items():
        if name != "hostile":
            scripts |= {body for stage in reader.read(text) for item in stage for body in item.heredocs}
    for script in scripts:
        done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{script}"
        count += 1
    assert count > 20


def check_numbers(reader, result: Rendered) -> None:
    stages = reader.read(result.dockerfile)
    assert len(stages) == (2 if result.needs_tools else 1)
    assert [item.name for item in stages[0]] == ["FROM", "ARG", "COPY"] or not result.needs_tools
    numbered = [item for item in stages[-1] if item.name in {"FROM", "RUN", "COPY", "WORKDIR"}]
    assert len(numbered) == len(result.numbered)
    assert not any(len(item.heredocs) != (item.name == "RUN") for item in stages[-1])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), user=st.sampled_from(["", "nobody", "1000:1000"]), site=st.booleans())
def test_any_spec_renders_to_the_instructions_that_are_numbered(random_specs, reader, data, user, site):
    image = data.draw(random_specs.IMAGES.filter(lambda image: not isinstance(image.base, NamedBase)))
    result = rendered(image, user, site=site, ca=site)
    check_numbers(reader, result)
    stage = reader.read(result.dockerfile)[-1]
    variables: dict[str, str] = {}
    labels: dict[str, str] = {}
    for layer in image.layers:
        variables.update(layer.variables if layer.kind == "env vars" else ())
        labels.update(layer.labels if layer.kind == "labels" else ())
    found = {}
    for item in only(stage, "ENV"):
        if not item.rest.startswith('PATH="/opt/venv'):
            found.update(item.pairs)
    found.pop("VIRTUAL_ENV", None)
    assert found == {key: value for key, value in variables.items() if key != "VIRTUAL_ENV"}
    assert {key: value for item in only(stage, "LABEL") for key, value in item.pairs.items()} == labels
    commands = [command for layer in image.layers if layer.kind == "commands" for command in layer.commands]
    bodies = [item.heredocs[0] for item in only(stage, "RUN")]
    for command in commands:
        assert any(body.endswith((f"\n{command}", f"\n{command}\n")) for body in bodies)
    entrypoints = [list(layer.args) for layer in image.layers if layer.kind == "entrypoint"]
    assert [item.words for item in only(stage, "ENTRYPOINT")] == entrypoints


def test_numbers_of_golden_specs(golden_specs, reader):
    for image, read in golden_specs.values():
        made = lower(image, identify(image, read, recipe()), read, recipe(), "nobody", SDK)
        if isinstance(made, Plan):
            check_numbers(reader, render(made))


VALUES = [
    *("two words", "$HOME", "${HOME:-x}", "end\\", "\\", 'say "x"', "it's", "<<EOF", "a <<EOF b", "# x", "é 漢字", ""),
    *('{"a": ["b"]}', " lead", "trail ", "a=b", "`id`", "$(id)", "\t", "\u2028", "\\n", "--flag", "[x]", "x\\\\"),
]


@pytest.mark.parametrize("value", VALUES)
def test_values_stay_in_their_instruction(reader, value):
    image = BASE.with_env_vars({"A": value}).with_labels({"l": value}).with_entrypoint("x", value)
    stage = last_stage(reader, image)
    assert only(stage, "ENV")[-1].pairs == {"A": value}
    assert only(stage, "LABEL")[0].pairs == {"l": value}
    assert only(stage, "ENTRYPOINT")[0].words == ["x", value]


@pytest.mark.parametrize("value", [value for value in VALUES if value.strip() and "\\" not in value])
def test_places_stay_in_their_instruction(reader, value):
    image = BASE.with_workdir(f"/w/{value}").with_source_folder("x", f"/d/{value}").with_source_file(f"n{value}", "/f/")
    stage = last_stage(reader, image)
    assert reader.word(only(stage, "WORKDIR")[-1].rest) == f"/w/{value}"
    folder, file = only(stage, "COPY")
    assert folder.words[1] == f"/d/{value}/"
    assert file.words[0].endswith(f"/n{value}".replace("[", "?").replace("]", "?"))


@pytest.mark.parametrize(
    "command",
    [
        *("EOF", "x\nEOF\nUSER root", "x\nEOF\r\nUSER root", "x\nEOF\r\r\nUSER root", "EOF\nEOF_\nEOF__", "\tEOF"),
        *("# comment", "a \\\n  b", "end\\", "\n\nx\n\n", "cat <<EOF\n$HOME\nEOF", "#!/bin/bash\nx", "FROM scratch"),
    ],
)
def test_a_command_stays_in_its_heredoc(reader, command):
    stage = last_stage(reader, BASE.with_commands([command, "after"]))
    assert stage[-2].heredocs == ["set -e\nafter\n"]
    assert stage[-3].heredocs[0] in (f"set -e\n{command}", f"set -e\n{command}\n")
    assert [item.rest for item in only(stage, "USER")] == ["app"]


def test_a_title_stays_a_comment(reader):
    image = OTHER.with_commands(["syntax=docker/x\nUSER root\r\x0b\x85\u2028RUN id"]).with_source_folder(
        "escape=`", "/x"
    )
    text = rendered(image).dockerfile
    assert not text.splitlines()[0].startswith(("# syntax", "# escape"))
    assert [item.name for item in reader.read(text)[-1]] == ["FROM", "RUN", "COPY"]
    assert all(
        line.isascii() or line.startswith("#") is False for line in text.split("\n") if line.startswith("# layer 2")
    )


def test_no_value_of_a_secret_is_rendered():
    image = (
        BASE.with_pip_packages(
            "a",
            index_url="https://bob:hunter2@h/simple",
            extra_index_urls=["https://hunter3@h2/simple"],
            secret_mounts=[Secret("token")],
        )
        .with_commands(["x"], secret_mounts=[Secret("k", group="g", mount="/run/k", as_env_var="K")])
        .clone(registry="ghcr.io/x", registry_secret="LOGIN")
    )
    made = plan(image)
    text = render(made, site=True, ca=True).dockerfile
    for value in ("hunter2", "hunter3", "bob", "LOGIN"):
        assert value not in text
        assert value not in repr(made)
        assert value not in "".join(made.titles) + str(made.labels)
    wanted = needs(image)
    assert sorted(wanted) == sorted(
        m["id"] for m in mounts_of(text, "secret") if not m["id"].startswith("imagebuilder-")
    )


def mounts_of(text: str, kind: str) -> list[dict[str, str]]:
    import sys

    reader = sys.modules["_loaded_reader"]
    every = {str(m): m for stage in reader.read(text) for item in stage for m in item.mounts if m["type"] == kind}
    return list(every.values())


def test_a_secret_reaches_the_step_that_asks_for_it_and_no_other(reader):
    image = BASE.with_commands(["one"]).with_commands(["two"], secret_mounts=[Secret("tok")]).with_commands(["three"])
    for item in only(last_stage(reader, image), "RUN"):
        has = [mount for mount in item.mounts if mount["type"] == "secret"]
        assert bool(has) == ("two" in item.heredocs[0])
        for mount in has:
            assert mount["required"] == "true"
            assert item.heredocs[0] == f'set -e\nTOK="$(cat {mount["target"]})"\nexport TOK\ntwo\n'
            assert hashlib.sha256(b"tok").hexdigest()[:8] in mount["id"]


def test_secrets_of_one_name_and_two_groups_have_two_ids():
    image = BASE.with_commands(["x"], secret_mounts=[Secret("k", group="a"), Secret("k", group="b")])
    image = image.with_commands(["x"], secret_mounts=[Secret("a/k"), Secret("é1"), Secret("ü2")])
    assert len(needs(image)) == 5


def test_one_index_with_two_credentials_is_refused():
    one = BASE.with_pip_packages("a", index_url="https://bob:x@h/simple")
    assert len(needs(one.with_pip_packages("b", index_url="https://bob:x@h/simple"))) == 2
    with pytest.raises(SpecError, match="two different credentials") as caught:
        needs(one.with_pip_packages("b", index_url="https://bob:hunter2@h/simple"))
    assert "hunter2" not in str(caught.value)


def test_site_settings_are_mounted_where_the_network_is_used_and_only_then(reader):
    stage = last_stage(reader, BASE.with_apt_packages("git"), site=True, ca=True)
    prepare, apt = only(stage, "RUN")
    assert not [mount for mount in prepare.mounts if mount["type"] == "secret"]
    assert [mount["id"] for mount in apt.mounts if mount["type"] == "secret"] == [
        "imagebuilder-site",
        "imagebuilder-ca",
    ]
    assert apt.heredocs[0].startswith("set -e\n[ ! -r /run/imagebuilder/site.sh ] || . /run/imagebuilder/site.sh\n")


def users(reader, image: Image, base_user: str = "") -> list[str]:
    return [item.rest for item in only(last_stage(reader, image, base_user), "USER")]


def test_who_runs_what(reader):
    assert users(reader, BASE) == ["app"]
    assert users(reader, BASE.with_commands(["x"])) == ["app"]
    assert users(reader, BASE.with_user("root")) == []
    assert users(reader, BASE.with_user("w").with_commands(["x"]).with_apt_packages("git")) == ["w", "root", "w"]
    assert users(reader, OTHER) == users(reader, OTHER.with_source_folder("x", "/x"), "nobody") == []


def test_the_user_of_a_base_is_given_back(reader):
    assert users(reader, OTHER.with_commands(["x"]), "nobody") == ["root", "nobody"]
    assert users(reader, OTHER.with_commands(["x"]), "1000:1000") == ["root", "1000:1000"]
    assert users(reader, OTHER.with_commands(["x"]), "") == []
    assert users(reader, OTHER.with_pip_packages("x"), "nobody") == ["root", "nobody"]


def test_root_works_on_a_base_of_another_user_that_nobody_asked_about(reader):
    for image in (OTHER.with_apt_packages("git").with_user("w"), OTHER.with_user("w")):
        assert not needs_base_user(image)
        assert users(reader, image) == ["root", "w"]
    assert users(reader, OTHER.with_user("root").with_commands(["x"])) == ["root"]


def copies(reader, image: Image):
    return [item.flags for item in only(last_stage(reader, image), "COPY")]


LINKED, OWNED = ["--link", "--chown=1000:1000"], ["--chown=1000:1000"]


@pytest.mark.parametrize(
    ("image", "flags"),
    [
        (BASE.with_source_folder("x"), LINKED),
        (BASE.with_source_folder("x", "/app"), LINKED),
        (BASE.with_source_file("x"), LINKED),
        (BASE.with_source_file("x", "/app/lib/"), LINKED),
        (BASE.with_source_file("x", "/app/lib"), OWNED),  # which may be a folder
        (BASE.with_source_folder("x", "/apple"), OWNED),
        (BASE.with_source_folder("x", "/opt/x"), OWNED),
        (BASE.with_source_folder("x", "/"), OWNED),
        (BASE.with_workdir("/srv").with_source_folder("x"), OWNED),
        (BASE.with_commands(["chmod 700 /app"]).with_source_folder("x"), OWNED),
        (BASE.with_user("w").with_source_folder("x", "/app"), ["--chown=w"]),
        (BASE.with_user("w", 1234).with_source_folder("x", "/app"), ["--chown=w"]),
        (BASE.with_user("root").with_source_folder("x", "/app"), []),
        (OTHER.with_source_folder("x", "/app"), []),
    ],
    ids=repr,
)
def test_files_belong_to_a_user_and_are_linked_only_where_folders_above_are_the_same(reader, image, flags):
    assert copies(reader, image) == [flags]


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_link_has_a_numeric_owner(random_specs, reader, data):
    """BuildKit cannot look a name up in a layer that depends on none."""
    image = data.draw(random_specs.IMAGES.filter(lambda image: not isinstance(image.base, NamedBase)))
    for flags in copies(reader, image):
        if "--link" in flags:
            assert flags in (LINKED, ["--link", "--chown=0:0"])


def test_a_file_lands_in_a_folder_that_is_known_to_be_one(reader):
    def dst(image: Image) -> str:
        return only(last_stage(reader, image), "COPY")[0].words[1]

    assert dst(BASE.with_source_file("x")) == "/app/"
    assert dst(BASE.with_source_file("x", "/app")) == "/app/"
    assert dst(BASE.with_source_file("x", "/etc")) == "/etc/"
    assert dst(BASE.with_source_file("x", "y")) == "/app/y"
    assert dst(OTHER.with_source_file("x")) == "."
    assert dst(OTHER.with_source_file("x", "y")) == "y"
    assert dst(OTHER.with_source_folder("x")) == "x/"
    assert dst(BASE.with_source_folder("x", "/")) == "/"


def test_layers_are_named_by_what_is_copied_not_by_where_it_is(reader):
    one = rendered(BASE.with_source_folder("/home/one/my_code", "/app"))
    other = rendered(BASE.with_source_folder("/home/other/my_code", "/app"))
    assert one.dockerfile.replace("/home/one", "/home/other") == other.dockerfile
    assert list(plan(BASE.with_source_folder("/home/one/my_code", "/app")).materials) == ["1-my-code"]


def test_package_names_are_quoted(reader):
    stage = last_stage(
        reader, BASE.with_pip_packages('tomli>=2; python_version < "3.11"', "a[b]", extra_args="'$(id)'")
    )
    assert """'$(id)' 'tomli>=2; python_version < "3.11"' 'a[b]'\n""" in only(stage, "RUN")[-1].heredocs[0]


def test_labels_of_the_build_are_no_part_of_the_dockerfile():
    made = plan(BASE)
    assert made.labels
    assert all(name.startswith(LABEL_PREFIX) for name, _ in made.labels)
    assert LABEL_PREFIX not in render(made).dockerfile


def test_a_dockerfile_is_not_rendered_but_labelled():
    image = Image.from_dockerfile("Dockerfile")
    read = materials(image)
    made = lower(image, identify(image, read, recipe()), read, recipe(), sdk=SDK)
    assert isinstance(made, DockerfilePlan)
    assert made.labels


@pytest.mark.parametrize(
    "image",
    [
        BASE.with_commands(["x" * 70_000]),
        BASE.with_commands(["x\n" * 70_000]),
        BASE.with_env_vars({"A": "x" * 70_000}),
        BASE.with_pip_packages(*["package"] * 10_000),
    ],
    ids=["line", "script", "variable", "packages"],
)
def test_what_no_parser_reads_is_refused_by_the_name_of_its_layer(image):
    with pytest.raises(SpecError, match=r"layer 1: .* is too long") as caught:
        rendered(image)
    assert len(str(caught.value)) < 400


def test_a_new_layer_needs_no_tools_unless_python_is_installed():
    assert not rendered(OTHER.with_commands(["x"]).with_apt_packages("git")).needs_tools
    assert rendered(OTHER.with_pip_packages("x")).needs_tools


def test_titles_and_numbers_name_the_layers_of_the_spec():
    result = rendered(OTHER.with_commands(["a", "b"]).with_env_vars({"A": "1"}).with_workdir("/x"))
    assert result.numbered == ((0, "FROM ghcr.io/team/base:1.0"), (1, "a"), (1, "b"), (3, "workdir /x"))
