"""A task's settings come back from its template."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tasksdk import (
    Cache,
    Device,
    PodTemplate,
    Resources,
    RetryStrategy,
    ReusePolicy,
    Secret,
    TaskEnvironment,
    Timeout,
)
from tasksdk.task.template_settings import settings_of

env = TaskEnvironment("settings", image="registry/image:1")


@env.task
def plain(x: int) -> int:
    return x


@pytest.mark.parametrize(
    "settings",
    [
        {"resources": Resources(cpu=("500m", "2"), memory=("1Gi", "2Gi"), disk="10Gi", shm="auto")},
        {"resources": Resources(gpu=Device("A100", 2, "1g.5gb"), shm=1 << 20)},
        {"retries": RetryStrategy(3, timedelta(seconds=9), 3.0), "timeout": Timeout(timedelta(60), timedelta(5))},
        {"cache": Cache("override", "v1", serialize=True, ignored_inputs=("x",)), "interruptible": False},
        {"reusable": ReusePolicy((1, 3), timedelta(seconds=7)), "queue": "fast", "max_inline_io_bytes": 9},
        {
            "env_vars": {"A": "1"},
            "secrets": (Secret("key", "group", as_env_var="KEY"), Secret("other", mount="/run/other")),
        },
        {"report": True, "deprecated": "use another", "interruptible": True, "pod_template": "named"},
    ],
)
def test_settings_come_back(settings: dict[str, object]) -> None:
    found = settings_of(plain.override(**settings).to_template())  # type: ignore[arg-type] # settings by name
    given = plain.override(**settings)  # type: ignore[arg-type] # as above
    for name in settings:
        expected, came = getattr(given if name != "deprecated" else given.settings, name), found[name]
        if name == "resources":
            assert (came.requests, came.limits, came.device) == (expected.requests, expected.limits, expected.device)
            assert (came.shm, came.shm_bytes) == (expected.shm, expected.shm_bytes)
        else:
            assert came == expected


def test_a_pod_template_comes_back_with_whole_numbers() -> None:
    pod = PodTemplate({"securityContext": {"runAsUser": 1000}}, labels={"team": "a"})
    task = plain.override(pod_template=pod, resources=Resources(cpu=2), env_vars={"A": "1"})
    found = settings_of(task.to_template())
    spec = found["pod_template"].as_mapping()
    assert repr(spec["securityContext"]["runAsUser"]) == "1000"
    assert (found["image"], found["env_vars"], found["pod_template"].labels) == (
        "registry/image:1",
        {"A": "1"},
        {"team": "a"},
    )
    assert found["resources"].requests == {"cpu": "2"}


def test_the_version_of_kept_results_is_in_the_template() -> None:
    automatic = plain.override(cache="auto").to_template().metadata
    salted = plain.override(cache=Cache(salt="s")).to_template().metadata
    assert automatic.discoverable
    assert automatic.discovery_version not in {"", salted.discovery_version}
    assert not plain.to_template().metadata.discovery_version
