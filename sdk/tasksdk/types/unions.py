"""Union and Optional: the variant that fits best, and an error where several fit alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from flyteidl2.core.literals_pb2 import Literal, Scalar
from flyteidl2.core.literals_pb2 import Union as UnionLiteral
from flyteidl2.core.types_pb2 import LiteralType, TypeStructure, UnionType

from tasksdk.errors import ConversionError
from tasksdk.types.converter import Converter, Plain, is_packed, kind_of
from tasksdk.types.hints import show
from tasksdk.types.mismatch import mismatch, shown, shown_literal
from tasksdk.types.once import once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions


class UnionConverter(Converter):
    """One of several types.

    Writing, the variants whose class is exactly the value's are tried first, then those it is a subclass of, then the
    rest, and Any last. Of several variants of one rank, the first that gives the very value back is taken; where none
    does, the value is ambiguous, which is an error.
    """

    name = "Typed Union"

    @once
    def variants(self) -> tuple[Converter, ...]:
        """The converters of the variants, in their order."""
        from tasksdk.types.registry import converter_for

        return tuple(converter_for(hint) for hint in get_args(self.hint))

    @once
    def tags(self) -> tuple[str, ...]:
        """A name for each variant, told apart by the class where the kind alone does not."""
        names = [variant.name for variant in self.variants]
        return tuple(
            name if names.count(name) == 1 else f"{name}:{show(variant.hint)}"
            for name, variant in zip(names, self.variants, strict=True)
        )

    @property
    def parts(self) -> tuple[Converter, ...]:  # type: ignore[override]  # worked out when asked, for types may contain themselves
        """The variants."""
        return self.variants

    @once
    def kinds(self) -> frozenset[str]:
        """The kinds of all variants, or a dict that names the variant."""
        return frozenset({"dict"}) if self.tagged else frozenset().union(*(variant.kinds for variant in self.variants))

    @once
    def tagged(self) -> bool:
        """Whether a plain form must say which variant it is: their kinds overlap."""
        return sum(len(variant.kinds) for variant in self.variants) > len(
            frozenset().union(*(variant.kinds for variant in self.variants))
        )

    @once
    def variant_types(self) -> tuple[LiteralType, ...]:
        """The literal types of the variants, each with its tag."""
        found = []
        for variant, tag in zip(self.variants, self.tags, strict=True):
            kind = LiteralType()
            kind.CopyFrom(variant.literal_type)
            fields = variant.literal_type.structure.dataclass_type
            kind.structure.CopyFrom(TypeStructure(tag=tag, dataclass_type=fields))
            found.append(kind)
        return tuple(found)

    @once
    def literal_type(self) -> LiteralType:
        """A union."""
        return LiteralType(union_type=UnionType(variants=self.variant_types))

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """The literal of the best variant, and which that was."""
        place, literal = self._best(
            value,
            lambda variant: variant.to_literal(value, raw),
            lambda variant, literal: variant.from_literal(literal, raw),
        )
        return Literal(scalar=Scalar(union=UnionLiteral(value=literal, type=self.variant_types[place])))

    def pack(self, value: Any, raw: RawData) -> Plain:
        """The plain form of the best variant; with its name where the form alone does not tell."""
        place, plain = self._best(
            value, lambda variant: variant.pack(value, raw), lambda variant, plain: variant.unpack(plain, raw)
        )
        return {"type": self.tags[place], "value": plain} if self.tagged else plain

    def _best(
        self, value: object, convert: Callable[[Converter], Any], read: Callable[[Converter, Any], Any]
    ) -> tuple[int, Any]:
        ranked: dict[int, list[int]] = {}
        for place, variant in enumerate(self.variants):
            ranked.setdefault(variant.rank(value), []).append(place)
        reasons: list[ConversionError] = []
        for _, places in sorted(ranked.items()):
            fitting = []
            for place in places:
                try:
                    fitting.append((place, convert(self.variants[place])))
                except ConversionError as error:
                    reasons.append(error)
            if len(fitting) == 1:
                return fitting[0]
            for place, made in fitting:
                if _same(read(self.variants[place], made), value):
                    return place, made
            if fitting:
                names = " and ".join(show(self.variants[place].hint) for place, _ in fitting)
                raise mismatch(self.hint, value, f"it is ambiguous: {names} both hold it")
        raise mismatch(self.hint, value, _deepest(reasons))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The value of the variant that the literal names; one without a name is read by the variants that can."""
        if not literal.scalar.HasField("union"):
            if self.tagged and is_packed(literal):
                plain = self.plain_of(literal)
                if self._place_of(plain) is not None:
                    return self.unpack(plain, raw)
            return self._read(self.variants, literal, lambda variant: variant.from_literal(literal, raw))
        inner, stored = literal.scalar.union.value, literal.scalar.union.type
        candidates = self._named(stored) or self._alike(stored) or self.variants
        return self._read(candidates, literal, lambda variant: variant.from_literal(inner, raw))

    def _named(self, stored: LiteralType) -> list[Converter]:
        places = [place for place, kind in enumerate(self.variant_types) if kind == stored]
        if not places:
            places = [place for place, tag in enumerate(self.tags) if tag and tag == stored.structure.tag]
        return [self.variants[place] for place in places]

    def _alike(self, stored: LiteralType) -> list[Converter]:
        """Variants of the same literal type, whatever the tag: another SDK names them differently."""
        form = stored.WhichOneof("type")
        return [
            variant
            for variant in self.variants
            if variant.literal_type.WhichOneof("type") == form
            and (form != "simple" or variant.literal_type.simple == stored.simple)
        ]

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads either form."""
        place = self._place_of(plain)
        if self.tagged and place is not None:
            return self.variants[place].unpack(plain["value"], raw)
        kind = kind_of(plain)
        exact = [variant for variant in self.variants if kind in variant.kinds]
        return self._read(exact or self.variants, plain, lambda variant: variant.unpack(plain, raw))

    def _place_of(self, plain: Plain) -> int | None:
        if isinstance(plain, dict) and plain.keys() == {"type", "value"} and plain["type"] in self.tags:
            return self.tags.index(plain["type"])
        return None

    def _read(self, candidates: Sequence[Converter], source: Any, read: Callable[[Converter], Any]) -> Any:
        """The one value that the candidates read; the exact ones are asked before Any."""
        found: list[Any] = []
        reasons: list[ConversionError] = []
        for variant in sorted(candidates, key=lambda one: one.rank(None) == 3):
            if found and variant.rank(None) == 3:
                break
            try:
                found.append(read(variant))
            except ConversionError as error:
                reasons.append(error)
        shown_source = shown_literal(source) if isinstance(source, Literal) else shown(source)
        if not found:
            raise ConversionError(f"expected {show(self.hint)}, got {shown_source}: {_deepest(reasons)}")
        if not all(_same(other, found[0]) for other in found[1:]):
            kinds = " and ".join(show(type(one)) for one in found)
            raise ConversionError(
                f"expected {show(self.hint)}, got {shown_source}: it is ambiguous: {kinds} can be read of it"
            )
        return found[0]

    def rank(self, value: object) -> int:
        """As its nearest variant."""
        return min(variant.rank(value) for variant in self.variants)

    def schema(self, known: Definitions) -> dict[str, Any]:
        """Any of the variants."""
        return {"anyOf": [variant.schema(known) for variant in self.variants]}


def _same(one: object, other: object) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # noqa: BLE001 - a class of the user's may compare in any way, arrays do not
        return False


def _deepest(reasons: list[ConversionError]) -> str:
    """Of all reasons, the one that got furthest into the value; none where every variant refused it at once."""
    placed = [error for error in reasons if error.place]
    if placed:
        deepest = max(placed, key=lambda error: len(error.place))
        return f"{deepest.place} {deepest.message}"
    return (
        ""
        if len(reasons) > 2
        else "; ".join(error.message.partition(": ")[2] for error in reasons if ": " in error.message)
    )
