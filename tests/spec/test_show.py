"""A spec prints as the code that makes it."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder import Image, Secret

NAMES = {"Image": Image, "Secret": Secret}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_eval_of_repr_is_equal(random_specs, data):
    image = data.draw(random_specs.IMAGES)
    again = eval(repr(image), dict(NAMES))
    assert again == image
    assert hash(again) == hash(image)
    assert repr(again) == repr(image)
    assert pickle.loads(pickle.dumps(image)) == image
    assert copy.deepcopy(image) == image
    assert copy.copy(image) == image


def test_the_example_of_the_documentation_prints_as_written():
    image = (
        Image.from_debian_base(python_version=(3, 11), name="my-app", registry="my-registry.com")
        .with_pip_packages("numpy", "scipy==1.10.0")
        .with_source_folder("./my_code", "/app")
        .with_commands(["apt-get update && apt-get install -y git"])
        .with_env_vars({"MY_ENV_VAR": "some_value"})
    )
    assert repr(image) == (
        "Image.from_debian_base((3, 11), name='my-app', registry='my-registry.com', install_sdk='0.1.0')"
        ".with_pip_packages('numpy', 'scipy==1.10.0').with_source_folder('my_code', '/app')"
        ".with_commands(['apt-get update && apt-get install -y git']).with_env_vars({'MY_ENV_VAR': 'some_value'})"
    )


def test_a_named_image_prints_its_publication():
    image = Image.from_ref_name("default").clone(name="x", registry="ghcr.io/y")
    assert eval(repr(image), dict(NAMES)) == image


@pytest.mark.parametrize(
    "image",
    [
        Image.from_debian_base("3.11").with_pip_packages("a", index_url="https://bob:hunter2@h/simple"),
        Image.from_debian_base("3.11").with_pip_packages("a", extra_index_urls=["https://hunter2@h/simple"]),
        Image.from_debian_base("3.11").with_pip_packages("a", extra_index_urls="https://bob:hunter2@h/simple"),
        Image.from_debian_base("3.11").with_commands(["git clone https://bob:hunter2@h/x"]),
        Image.from_debian_base("3.11").with_commands(["git clone https://hunter2:x-oauth@h/x"]),
        Image.from_debian_base("3.11").with_env_vars({"URL": "postgres://bob:hunter2@db/x"}),
        Image.from_debian_base("3.11").with_env_vars({"URL": "postgres://bob:pw@hunter2@db/x"}),
        Image.from_uv_script("x.py", index_url="https://bob:hunter2@h/simple"),
    ],
    ids=repr,
)
def test_repr_masks_credentials(image):
    assert "hunter2" not in repr(image)
    assert "hunter2" not in str(image)
    assert "hunter2" not in "".join(repr(layer) for layer in image.layers if layer.kind == "pip packages")
    assert "***" in repr(image)
    eval(repr(image), dict(NAMES))


def test_a_variable_in_a_url_is_no_credential_and_is_shown():
    image = Image.from_debian_base("3.11").with_commands(["git clone https://x:$TOKEN@h/x && git clone ssh://git@h/x"])
    assert "https://x:$TOKEN@h/x && git clone ssh://git@h/x" in repr(image)
    assert eval(repr(image), dict(NAMES)) == image
