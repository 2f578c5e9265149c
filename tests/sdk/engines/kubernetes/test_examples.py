"""Programs as others write them for this API, on a real Kubernetes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image
from imagebuilder.api import build

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasksdk.running.runner import Runner

    from .conftest import Ward

pytestmark = pytest.mark.kube
EXAMPLES = Path(__file__).parents[4] / "fixtures" / "task_examples"


def test_examples_run_on_the_cluster(
    remote: Callable[[], Runner], ward: Ward, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = ward.cluster.registry
    made = Image.from_debian_base("3.11", name=repository).with_pip_packages("fsspec").with_user("somebody")
    (built,) = build(made, registry=registry)
    monkeypatch.setenv("EXAMPLES_IMAGE", f"{built.uri}@{built.digest}")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(EXAMPLES)
    names = ("files", "calls", "bounds")
    for name in names:
        sys.modules.pop(name, None)
    found = {name: remote().run(importlib.import_module(name).main).outputs()[0] for name in names}
    assert found["files"][:3] == ["kept all the same", "one two", "small"]
    assert found["calls"]["mapped"] == ["1", "4", "9"]
    assert found["calls"]["failed"] == ["4", "ValueError", "9"]
    assert found["bounds"] == ["3", "NonRecoverableError", "late"]
