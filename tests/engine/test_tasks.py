"""What the task SDK gets from this engine."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import pytest

from imagebuilder import Secret, tasks
from imagebuilder.engine import Result
from imagebuilder.errors import SecretError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_entry_points_lead_to_the_functions():
    for group, function in (("tasksdk.images", tasks.reference), ("tasksdk.secrets", tasks.secret_value)):
        assert [point.load() for point in importlib.metadata.entry_points(group=group)] == [function]


@pytest.mark.parametrize(
    ("uri", "digest", "reference"),
    [
        ("localhost:5000/app:tag", "sha256:1", "localhost:5000/app:tag@sha256:1"),
        ("app:tag", "sha256:1", "app:tag"),
        ("localhost:5000/app:tag", None, "localhost:5000/app:tag"),
    ],
)
def test_a_reference_has_the_digest_where_a_registry_has_it(monkeypatch, uri, digest, reference):
    result = Result("app", uri, "tag", digest, (), built=True, pushed=True, bytes_uploaded=0, seconds=0)
    monkeypatch.setattr(tasks, "build", lambda _image: [result])
    assert tasks.reference(None) == reference


def test_a_secret_has_the_value_of_its_rule(tmp_path: Path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.imagebuilder.secrets]\ntoken = "file:{tmp_path}/token"\nlost = "file:{tmp_path}/lost"\n'
    )
    (tmp_path / "token").write_text("hunter2\n")
    monkeypatch.chdir(tmp_path)
    assert tasks.secret_value(Secret("token")) == "hunter2"
    assert tasks.secret_value(Secret("other")) is None
    with pytest.raises(SecretError, match="lost"):
        tasks.secret_value(Secret("lost"))
