"""Golden identifiers: an upgrade of this project never changes one."""

from __future__ import annotations

import json
import re

import imagebuilder


def test_golden_identifiers(golden, golden_specs):
    expected = json.loads(golden.IDENTIFIERS.read_text())
    found = golden.identifiers(golden_specs)
    changed = sorted(name for name in expected if found.get(name) != expected[name])
    assert not changed, (
        f"the identifiers of {', '.join(changed)} changed: every such image of every user would be built anew. If that "
        "must be, it needs a new epoch in imagebuilder/identity/recipe.py; if the epoch is not released yet, or a "
        "golden spec itself changed, run scripts/goldens and review the diff"
    )
    assert sorted(found) == sorted(expected), "a golden spec was added or removed: run scripts/goldens"


def test_every_kind_of_base_and_layer_has_a_golden_spec(golden_specs):
    from typing import get_args

    from imagebuilder.spec.base import Base, NamedBase
    from imagebuilder.spec.layers import Layer

    images = [image for image, _ in golden_specs.values()]
    assert {type(layer) for image in images for layer in image.layers} == set(get_args(Layer))
    assert {type(image.base) for image in images} == set(get_args(Base)) - {NamedBase}


def test_an_identifier_is_a_tag(golden_specs, golden):
    for text in golden.identifiers(golden_specs).values():
        assert re.fullmatch(r"[a-z2-7]{32}", text)


def test_the_version_of_this_project_does_not_count(golden_specs, golden, monkeypatch):
    before = golden.identifiers(golden_specs)
    monkeypatch.setattr(imagebuilder, "__version__", "99.0")
    assert golden.identifiers(golden_specs) == before
