from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.layers.packing import BIG, MOST_ALONE, Sized, pack

WHEELS = st.dictionaries(st.text("abcdefghij-", min_size=1, max_size=8), st.integers(1, 4 * BIG), max_size=150)


@given(WHEELS, st.randoms(use_true_random=False), st.integers(1, 127), st.data())
def test_every_wheel_once_within_the_budget(wheels, chance, budget, data) -> None:
    given_wheels = [Sized(*item) for item in wheels.items()]
    together = (
        data.draw(st.lists(st.lists(st.sampled_from(sorted(wheels)), min_size=2, max_size=4), max_size=5))
        if wheels
        else []
    )
    layers = pack(given_wheels, together=together, budget=budget)
    assert sorted(name for layer in layers for name in layer) == sorted(wheels)
    assert len(layers) <= min(budget, MOST_ALONE + 8)
    place = {name: number for number, layer in enumerate(layers) for name in layer}
    assert all(len({place[name] for name in group}) == 1 for group in together)
    chance.shuffle(given_wheels)
    assert pack(given_wheels, together=[group[::-1] for group in together[::-1]], budget=budget) == layers


def test_big_ones_alone_and_largest_first() -> None:
    layers = pack([Sized("small", 10), Sized("big", BIG), Sized("bigger", BIG + 1)])
    assert layers == [("bigger",), ("big",), ("small",)]


@given(WHEELS)
def test_a_small_upgrade_or_addition_changes_one_layer(wheels) -> None:
    wheels = {name: size for name, size in wheels.items() if size < BIG}
    before = set(pack([Sized(*item) for item in wheels.items()]))
    after = set(pack([Sized("new", 10), *(Sized(*item) for item in wheels.items())]))
    assert len(after - before) == 1
