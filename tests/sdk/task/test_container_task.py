"""Container tasks, as far as they need no container: what is staged, rendered, collected and serialized."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from flyteidl2.core.literals_pb2 import LiteralMap
from flyteidl2.core.tasks_pb2 import DataLoadingConfig
from tasksdk import ContainerTask, Resources, SerializationContext
from tasksdk.errors import TaskDefinitionError, TaskInputError, TaskOutputError
from tasksdk.literals import map_message, to_literals, to_value
from tasksdk.types.raw_data import RawData

if TYPE_CHECKING:
    from pathlib import Path

SCTX = SerializationContext()


def _task(**settings: Any) -> ContainerTask:
    given: dict[str, Any] = {"name": "c", "image": "alpine:3", "command": ["run"], **settings}
    return ContainerTask(**given)


def _stage(task: ContainerTask, values: dict[str, Any], folder: Path) -> list[str]:
    return task.stage(to_literals(values, task.native_interface.inputs, "c"), folder)


def _collect(task: ContainerTask, folder: Path) -> dict[str, Any]:
    found = task.collect(folder, RawData(str(folder / "raw")))
    return {name: to_value(found[name], kind, name) for name, kind in task.native_interface.outputs.items()}


@pytest.mark.parametrize("command", [["run", 3], ["run", None], [b"run"]])
def test_words_are_texts(command: list[Any]) -> None:
    with pytest.raises(ValueError, match="is not a text"):
        _task(command=command)
    with pytest.raises(ValueError, match="is not a text"):
        _task(arguments=command)


def test_a_text_is_split_as_a_shell_would() -> None:
    assert _task(command="sh -c 'echo one two'").command == ["sh", "-c", "echo one two"]
    with pytest.raises(TaskDefinitionError, match="cannot be split"):
        _task(command="echo 'open")


@pytest.mark.parametrize(
    "settings",
    [
        {"metadata_format": "XML"},
        {"input_data_dir": "relative"},
        {"output_data_dir": "/a/../b"},
        {"image": ""},
        {"colour": 1},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(TaskDefinitionError):
        _task(**settings)


def test_templates_are_rendered_from_the_inputs(tmp_path: Path) -> None:
    task = _task(
        command=["say", "{{.inputs.word}}"],
        arguments=["--times={{ .inputs.times }}", "{{.inputs.flag}}", "{{.Inputs.items}}"],
        inputs={"word": str, "times": int, "flag": bool, "items": list[int]},
    )
    words = _stage(task, {"word": "a b; $c", "times": 3, "flag": True, "items": [1, 2]}, tmp_path)
    assert words == ["say", "a b; $c", "--times=3", "true", "[1, 2]"]
    assert task.container_args(SCTX) == [*task.command, *task.arguments]
    with pytest.raises(TaskInputError, match="nothing"):
        _stage(_task(command=["{{.inputs.nothing}}"]), {}, tmp_path)


def test_inputs_are_files_and_a_document(tmp_path: Path) -> None:
    kinds, values = {"word": str, "times": int, "half": float}, {"word": "ä\nb", "times": 3, "half": 0.5}
    for form in ("JSON", "YAML", "PROTO"):
        folder = tmp_path / form
        _stage(_task(inputs=kinds, metadata_format=form), values, folder)
        assert (folder / "inputs" / "word").read_text() == "ä\nb"
        assert (folder / "inputs" / "times").read_text() == "3"
    import yaml

    assert json.loads((tmp_path / "JSON/inputs/inputs.json").read_text()) == values
    assert yaml.safe_load((tmp_path / "YAML/inputs/inputs.yaml").read_text()) == values
    message = LiteralMap.FromString((tmp_path / "PROTO/inputs/inputs.pb").read_bytes())
    assert message == map_message(to_literals(values, kinds, "c"))


KINDS = {"n": int, "x": float, "flag": bool, "text": str, "items": list[int]}
VALUES = {"n": 3, "x": 0.5, "flag": True, "text": "hi\nthere", "items": [1, 2]}


def test_outputs_are_read_from_files(tmp_path: Path) -> None:
    folder = tmp_path / "outputs"
    folder.mkdir()
    for name, text in {"n": "3\n", "x": "0.5", "flag": "True", "text": "hi\nthere\n", "items": "[1, 2]"}.items():
        (folder / name).write_text(text)
    assert _collect(_task(outputs=KINDS), tmp_path) == VALUES


@pytest.mark.parametrize("form", ["JSON", "YAML", "PROTO"])
def test_outputs_are_read_from_the_document(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "outputs"
    folder.mkdir()
    if form == "PROTO":
        message = map_message(to_literals(VALUES, KINDS, "c"))
        (folder / "outputs.pb").write_bytes(message.SerializeToString())
    else:
        (folder / f"outputs.{form.lower()}").write_text(json.dumps(VALUES))
    assert _collect(_task(outputs=KINDS, metadata_format=form), tmp_path) == VALUES
    other = {"JSON": "PROTO", "YAML": "JSON", "PROTO": "YAML"}[form]
    with pytest.raises(TaskOutputError, match="wrote no file"):
        _collect(_task(outputs=KINDS, metadata_format=other), tmp_path)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (int, "three", "'three' is not a value of type int"),
        (bool, "1", "type bool"),
        (float, "", "type float"),
        (list[int], "[1", "output x"),
    ],
)
def test_an_output_of_another_type_is_an_error(tmp_path: Path, kind: Any, text: str, says: str) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "x").write_text(text)
    with pytest.raises(TaskOutputError, match=says):
        _collect(_task(outputs={"x": kind}), tmp_path)


def test_a_missing_or_broken_output_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    with pytest.raises(TaskOutputError, match="wrote no file x"):
        _collect(_task(outputs={"x": int}), tmp_path)
    (tmp_path / "outputs" / "x").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(TaskOutputError, match="is not text"):
        _collect(_task(outputs={"x": str}), tmp_path)
    for form, broken in (("JSON", b"{"), ("JSON", b"[1]"), ("YAML", b"{: :"), ("PROTO", b"\xff")):
        name = {"JSON": "outputs.json", "YAML": "outputs.yaml", "PROTO": "outputs.pb"}[form]
        (tmp_path / "outputs" / name).write_bytes(broken)
        with pytest.raises(TaskOutputError, match="cannot be read"):
            _collect(_task(outputs={"x": int}, metadata_format=form), tmp_path)
        (tmp_path / "outputs" / name).unlink()


def test_the_template_says_it_all() -> None:
    task = _task(
        command=["run", "{{.inputs.x}}"],
        arguments=["more"],
        inputs={"x": int},
        input_data_dir="/in",
        output_data_dir="/out",
        metadata_format="YAML",
        resources=Resources(cpu=1),
        env_vars={"A": "1"},
        retries=2,
    )
    container = task.to_template(SCTX).container
    assert (container.image, list(container.command), list(container.args)) == (
        "alpine:3",
        ["run", "{{.inputs.x}}"],
        ["more"],
    )
    config = task.data_loading_config(SCTX)
    assert container.data_config == config
    assert (config.enabled, config.input_path, config.output_path, config.format) == (
        True,
        "/in",
        "/out",
        DataLoadingConfig.YAML,
    )
    assert (task.config(SCTX), task.custom_config(SCTX), task.sql(SCTX), task.source_file) == ({}, {}, None, None)
    assert task.native_interface.inputs == {"x": int}
    assert task.override(retries=0).retries.count == 0
    with pytest.raises(ValueError, match="image"):
        task.override(image="other")
