"""`requires-python` against the library that defines it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from imagebuilder.errors import SpecError
from imagebuilder.spec.python_version import satisfies

RELEASE = st.builds("3.{}".format, st.integers(9, 13)) | st.builds(
    "3.{}.{}".format, st.integers(9, 13), st.integers(0, 5)
)
CLAUSE = st.one_of(
    st.builds("{}{}".format, st.sampled_from([">=", ">", "<=", "<", "~=", "==", "!=", ">= "]), RELEASE),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), RELEASE),
    st.sampled_from([">=3", "<4", ">3", "==3.*", "~=3.0"]),
)


@given(st.tuples(st.just(3), st.integers(8, 14)), st.lists(CLAUSE, max_size=3).map(",".join))
def test_agrees_with_packaging(version, requires):
    specifier = SpecifierSet(requires)
    expected = any(specifier.contains(f"{version[0]}.{version[1]}.{patch}") for patch in range(64))
    assert satisfies(version, requires) is expected


@pytest.mark.parametrize("requires", ["3.11", ">=", "=>3.11", ">=3.11;<4", "~3.11"])
def test_refuses_what_is_no_specifier(requires):
    with pytest.raises(SpecError, match="not a version specifier"):
        satisfies((3, 11), requires)
