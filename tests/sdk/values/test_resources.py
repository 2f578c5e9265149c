"""Resources: amounts, pairs, accelerators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasksdk import Device, Resources
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.quantity import cores, cores_text, size, size_text


def test_a_single_amount_is_request_and_limit() -> None:
    resources = Resources(cpu="500m", memory="1Gi", disk="10GiB")
    assert resources.requests == {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "10Gi"}
    assert resources.limits == resources.requests


def test_a_pair_is_request_and_limit() -> None:
    resources = Resources(cpu=(1, 2), memory=("1Gi", "2Gi"))
    assert resources.requests == {"cpu": "1", "memory": "1Gi"}
    assert resources.limits == {"cpu": "2", "memory": "2Gi"}


@pytest.mark.parametrize(
    ("gpu", "device"),
    [
        (1, Device("", 1)),
        ("T4:1", Device("T4", 1)),
        ("A100:8", Device("A100", 8)),
        ("H100", Device("H100", 1)),
        (Device("A100", 1, "1g.5gb"), Device("A100", 1, "1g.5gb")),
        (0, None),
    ],
)
def test_accelerators_can_be_written_in_several_ways(gpu: int | str | Device, device: Device | None) -> None:
    assert Resources(gpu=gpu).device == device


@pytest.mark.parametrize(
    "settings",
    [
        {"cpu": "many"},
        {"cpu": -1},
        {"cpu": 0},
        {"cpu": (2, 1)},
        {"cpu": (1, 2, 3)},
        {"cpu": True},
        {"memory": "1Zi"},
        {"memory": "Gi"},
        {"memory": "inf"},
        {"memory": ("2Gi", "1Gi")},
        {"gpu": ":1"},
        {"gpu": "T4:"},
        {"gpu": "T4:x"},
        {"gpu": "T4:0"},
        {"gpu": -1},
        {"gpu": True},
        {"disk": "big"},
        {"shm": "some"},
    ],
)
def test_bad_amounts_are_refused_where_they_are_written(settings: dict[str, object]) -> None:
    with pytest.raises(TaskDefinitionError, match=next(iter(settings))):
        Resources(**settings)


def test_a_partition_needs_a_device() -> None:
    with pytest.raises(TaskDefinitionError, match="partition"):
        Device(partition="1g.5gb")


@given(st.integers(min_value=1, max_value=10**7))
def test_cores_survive_being_written(milli: int) -> None:
    assert round(cores(cores_text(milli / 1000), "cpu") * 1000) == milli


@given(st.integers(min_value=1, max_value=2**62))
def test_bytes_survive_being_written(count: int) -> None:
    text = size_text(count)
    assert size(text, "memory") == count or not text.isdigit() or count > 2**53
