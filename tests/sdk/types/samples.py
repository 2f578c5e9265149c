"""Classes and strategies that several tests of types use."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

T = TypeVar("T")

steady = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For tests that must say the same on a busy machine."""


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Corner(enum.Enum):
    NEAR = (0, 0)
    FAR = (1, 1)


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Choice = Literal["a", 1, None]  # noqa: PYI061 - None as a choice must work too


@dataclass
class Node:
    value: int
    next: Optional[Node] = None  # noqa: UP045 - the older spelling must work too
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Point:
    x: float = 0.0
    y: float = 0.0


@dataclass
class Box(Generic[T]):
    content: T
    spares: list[T] = field(default_factory=list)


@dataclass
class Labelled(Box[T]):
    label: str = ""


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Options(TypedDict, total=False):
    depth: int
    name: str


@dataclass
class Everything:
    flag: bool
    number: int
    ratio: float
    text: str
    data: bytes
    moment: dt.datetime
    day: dt.date
    clock: dt.time
    length: dt.timedelta
    colour: Colour
    level: Level
    corner: Corner
    access: Access
    price: Decimal
    key: UUID
    choice: Choice
    maybe: int | None
    either: int | str | Point
    unclear: str | dt.datetime
    node: Node
    box: Box[int]
    points: dict[tuple[int, int], Point]
    names: set[str]
    pair: Pair
    options: Options
    fixed: tuple[int, str]
    many: tuple[float, ...]
    anything: Any
    loose: dict
    deep: dict[str, list[dict[int, bool] | None]]
    derived: int = field(init=False, default=3)


INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
POINTS = st.builds(Point, FLOATS, FLOATS)
NODES = st.recursive(
    st.builds(Node, INTEGERS),
    lambda inner: st.builds(Node, INTEGERS, st.none() | inner, st.lists(inner, max_size=3)),
    max_leaves=6,
)
ZONES = st.none() | st.timezones() | st.just(dt.timezone(dt.timedelta(hours=5, minutes=30)))
FIRST, LAST = dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29)  # noqa: DTZ001 - naive ones must work too
# An hour that a clock shows twice equals nothing in another zone (PEP 495).
MOMENTS = st.datetimes(FIRST, LAST, timezones=ZONES, allow_imaginary=False).filter(
    lambda moment: moment.utcoffset() == moment.replace(fold=1 - moment.fold).utcoffset()
)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | INTEGERS, inner, max_size=4),
    max_leaves=12,
)
ANYTHING = PLAIN | st.tuples(INTEGERS, TEXT) | st.frozensets(INTEGERS) | POINTS | st.complex_numbers(allow_nan=False)
OPTIONS: st.SearchStrategy[Any] = st.fixed_dictionaries({}, optional={"depth": INTEGERS, "name": TEXT})

KINDS: dict[Any, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    bool: st.booleans(),
    int: INTEGERS,
    float: FLOATS,
    str: TEXT,
    bytes: st.binary(max_size=30),
    dt.datetime: MOMENTS,
    dt.date: st.dates(),
    dt.time: st.times(),
    dt.timedelta: st.timedeltas(),
    Decimal: st.decimals(allow_nan=False),
    UUID: st.uuids(),
    Colour: st.sampled_from(Colour),
    Level: st.sampled_from(Level),
    Corner: st.sampled_from(Corner),
    Access: st.sampled_from([Access.READ, Access.WRITE, Access.READ | Access.WRITE, Access(0)]),
    Choice: st.sampled_from(["a", 1, None]),
    Literal["a", "b"]: st.sampled_from(["a", "b"]),
    Literal[1, 2]: st.sampled_from([1, 2]),
    int | None: st.none() | INTEGERS,
    int | str | Point: INTEGERS | TEXT | POINTS,
    str | dt.datetime: TEXT | MOMENTS,
    list[int] | dict[str, int] | None: st.none() | st.lists(INTEGERS) | st.dictionaries(TEXT, INTEGERS),
    Node: NODES,
    Point: POINTS,
    Box[int]: st.builds(Box, INTEGERS, st.lists(INTEGERS)),
    Labelled[Point]: st.builds(Labelled, POINTS, st.lists(POINTS, max_size=3), TEXT),
    Box[Box[str]]: st.builds(Box, st.builds(Box, TEXT, st.lists(TEXT, max_size=3))),
    list[int]: st.lists(INTEGERS),
    list[float]: st.lists(FLOATS),
    list[list[bool]]: st.lists(st.lists(st.booleans(), max_size=5), max_size=5),
    list[Point]: st.lists(POINTS, max_size=5),
    list: st.lists(PLAIN, max_size=5),
    set[str]: st.sets(TEXT),
    frozenset[int]: st.frozensets(INTEGERS),
    tuple[int, str]: st.tuples(INTEGERS, TEXT),
    tuple[()]: st.just(()),
    tuple[float, ...]: st.lists(FLOATS).map(tuple),
    Pair: st.builds(Pair, INTEGERS, TEXT),
    Options: OPTIONS,
    dict[str, int]: st.dictionaries(TEXT, INTEGERS),
    dict[int, str]: st.dictionaries(INTEGERS, TEXT),
    dict[tuple[int, int], Point]: st.dictionaries(st.tuples(INTEGERS, INTEGERS), POINTS, max_size=4),
    dict[str, list[dict[int, bool] | None]]: st.dictionaries(
        TEXT, st.lists(st.none() | st.dictionaries(INTEGERS, st.booleans(), max_size=3), max_size=3), max_size=3
    ),
    dict: st.dictionaries(TEXT | INTEGERS, ANYTHING, max_size=4),
    Any: ANYTHING,
    complex: st.complex_numbers(allow_nan=False),
}
KINDS[Everything] = st.builds(
    Everything,
    **{
        name: KINDS[hint]
        for name, hint in {
            "flag": bool, "number": int, "ratio": float, "text": str, "data": bytes, "moment": dt.datetime,
            "day": dt.date, "clock": dt.time, "length": dt.timedelta, "colour": Colour, "level": Level,
            "corner": Corner, "access": Access, "price": Decimal, "key": UUID, "choice": Choice,
            "maybe": int | None, "either": int | str | Point, "unclear": str | dt.datetime, "node": Node,
            "box": Box[int], "points": dict[tuple[int, int], Point], "names": set[str], "pair": Pair,
            "options": Options, "fixed": tuple[int, str], "many": tuple[float, ...], "anything": Any, "loose": dict,
            "deep": dict[str, list[dict[int, bool] | None]],
        }.items()
    },
)  # fmt: skip
