"""Cache, retries, timeout, reuse, metadata and how settings are inherited."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasksdk import Cache, Image, PodTemplate, RetryStrategy, ReusePolicy, Secret, TaskMetadata, Timeout
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.documentation import documentation_of
from tasksdk.values.settings import TaskSettings


def test_delays_grow_up_to_the_backoff() -> None:
    strategy = RetryStrategy(count=5, backoff=timedelta(seconds=3), backoff_factor=2)
    assert [strategy.delay(n) for n in range(1, 6)] == [1.0, 2.0, 3.0, 3.0, 3.0]
    assert strategy.attempts == 6
    assert RetryStrategy(10**6).delay(10**6) == 30.0


@given(st.integers(1, 10**6), st.floats(1, 100), st.floats(0, 1000))
def test_a_later_delay_is_never_shorter(attempt: int, factor: float, cap: float) -> None:
    strategy = RetryStrategy(1, cap, factor)
    assert strategy.delay(attempt) <= strategy.delay(attempt + 1) <= cap


def test_zero_is_no_bound() -> None:
    assert Timeout(0, 0).runtime_seconds is None
    assert Timeout(0, 0).queued_seconds is None
    assert Timeout(timedelta(minutes=5), 60).runtime_seconds == 300.0
    assert Timeout(timedelta(minutes=5), 60).queued_seconds == 60.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Timeout(-1),
        lambda: Timeout("5m"),
        lambda: Timeout(float("nan")),
        lambda: RetryStrategy(-1),
        lambda: RetryStrategy(True),
        lambda: RetryStrategy(1, None, 0),
        lambda: ReusePolicy(0),
        lambda: ReusePolicy((3, 1)),
        lambda: ReusePolicy(1, 0),
        lambda: ReusePolicy((1, 2, 3)),
        lambda: Cache("sometimes"),
        lambda: Cache(policies=[1]),
        lambda: Cache(version_override=1),
        lambda: PodTemplate(pod_spec=3),
    ],
)
def test_values_that_mean_nothing_are_refused(make) -> None:  # type: ignore[no-untyped-def] # a table of lambdas
    with pytest.raises(TaskDefinitionError):
        make()


def test_one_name_is_a_tuple_of_names() -> None:
    assert Cache(ignored_inputs="when").ignored_inputs == ("when",)


def test_metadata_turns_seconds_into_a_timedelta_and_reads_as_settings() -> None:
    metadata = TaskMetadata(
        cache=True, cache_version="1", cache_serialize=True, cache_ignore_input_vars=("a",), retries=2, timeout=5
    )
    assert metadata.timeout == timedelta(seconds=5)
    assert metadata.retry_strategy == RetryStrategy(2)
    assert metadata.settings["cache"] == Cache("override", "1", True, ("a",))


@pytest.mark.parametrize(
    "fields",
    [{"cache": True}, {"cache_serialize": True}, {"cache_ignore_input_vars": ("a",)}, {"retries": -1}, {"timeout": -1}],
)
def test_metadata_refuses_what_contradicts_itself(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"cache|retries|timeout"):
        TaskMetadata(**fields)


def test_a_task_wins_over_its_environment_and_adds_to_it() -> None:
    environment = TaskSettings(env_vars={"A": "1", "B": "1"}, secrets=["one", Secret("two", as_env_var="X")], retries=1)
    task = TaskSettings(env_vars={"B": "2"}, secrets=[Secret("three", as_env_var="X")], timeout=0)
    merged = task.over(environment)
    assert merged.env_vars == {"A": "1", "B": "2"}
    assert merged.all_secrets == (Secret("one"), Secret("three", as_env_var="X"))
    assert merged.retries == 1
    assert merged.timeout == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"resources": "big"},
        {"env_vars": {"A": 1}},
        {"env_vars": {"A=B": "1"}},
        {"env_vars": ["A"]},
        {"reusable": "on"},
        {"max_inline_io_bytes": -1},
        {"image": 3},
        {"retries": "3"},
        {"queue": 1},
    ],
)
def test_settings_of_the_wrong_kind_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(TaskDefinitionError, match=next(iter(fields))):
        TaskSettings(**fields)


def test_documentation_is_taken_from_a_docstring() -> None:
    docs = documentation_of("""Fetch the data
    from a source.

    Long words.
    """)
    assert docs is not None
    assert docs.short_description == "Fetch the data from a source."
    assert docs.long_description == "Fetch the data\nfrom a source.\n\nLong words."
    assert documentation_of("  ") is None


def test_naming_an_image_reads_none_of_its_files() -> None:
    image = Image.from_debian_base().with_source_folder("/no/such/folder", "/app")
    assert TaskSettings(image=image).image == image
