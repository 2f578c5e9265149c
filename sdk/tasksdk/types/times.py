"""datetime, date, time and timedelta."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.core.types_pb2 import LiteralType, SimpleType
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tasksdk.types.converter import Converter, Plain, is_packed
from tasksdk.types.mismatch import mismatch
from tasksdk.types.once import once
from tasksdk.types.texts import TextConverter

if TYPE_CHECKING:
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.schema import Definitions

_UTC = dt.timezone.utc
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=_UTC)
_ZONE = "timezone"
_NO_ZONE = "none"


class _IsoConverter(Converter):
    """A type whose plain form is ISO 8601."""

    kinds = frozenset({"str"})
    format: ClassVar[str]

    def checked(self, value: Any) -> Any:
        """The value, where it is of this type."""
        if not isinstance(value, self.python_class):
            raise mismatch(self.hint, value)
        return value

    def pack(self, value: Any, raw: RawData) -> Plain:
        """ISO 8601."""
        del raw
        return self.checked(value).isoformat()

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads ISO 8601, also with a Z, which Python 3.10 does not."""
        del raw
        try:
            return self.python_class.fromisoformat(plain.replace("Z", "+00:00"))
        except (AttributeError, ValueError):
            raise mismatch(self.hint, plain) from None

    def schema(self, known: Definitions) -> dict[str, Any]:
        """A string."""
        del known
        return {"type": "string", "format": self.format}


class DatetimeConverter(_IsoConverter):
    """A point in time, read back in UTC; a naive one comes back naive (a mark in the literal's metadata)."""

    name, format = "datetime", "date-time"

    @once
    def literal_type(self) -> LiteralType:
        """The simple type DATETIME."""
        return LiteralType(simple=SimpleType.DATETIME)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A timestamp."""
        del raw
        moment = self.checked(value)
        naive = moment.utcoffset() is None
        literal = _timestamp((moment.replace(tzinfo=_UTC) if naive else moment) - _EPOCH)
        if naive:
            literal.metadata[_ZONE] = _NO_ZONE
        return literal

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The moment."""
        if is_packed(literal):
            return self.unpack(self.plain_of(literal), raw)
        moment = _moment(self, literal)
        return moment.replace(tzinfo=None) if literal.metadata.get(_ZONE) == _NO_ZONE else moment


class DateConverter(_IsoConverter):
    """A day: the timestamp of its midnight in UTC."""

    name, format = "date", "date"

    @once
    def literal_type(self) -> LiteralType:
        """The simple type DATETIME."""
        return LiteralType(simple=SimpleType.DATETIME)

    def checked(self, value: Any) -> Any:
        """A datetime is no date: its time would be lost."""
        if isinstance(value, dt.datetime):
            raise mismatch(self.hint, value, "its time of day would be lost", hint_text="pass value.date()")
        return super().checked(value)

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A timestamp."""
        del raw
        return _timestamp(self.checked(value) - _EPOCH.date())

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The day."""
        if is_packed(literal):
            return self.unpack(self.plain_of(literal), raw)
        return _moment(self, literal).date()


class TimeConverter(_IsoConverter, TextConverter):
    """A time of day: its ISO form is its text."""

    name, format = "time", "time"


class TimedeltaConverter(Converter):
    """A length of time; plain, it is seconds, or days, seconds and microseconds where a float is too coarse."""

    name, kinds = "timedelta", frozenset({"float", "list"})

    @once
    def literal_type(self) -> LiteralType:
        """The simple type DURATION."""
        return LiteralType(simple=SimpleType.DURATION)

    def checked(self, value: Any) -> dt.timedelta:
        """The value, where it is one."""
        if not isinstance(value, dt.timedelta):
            raise mismatch(self.hint, value)
        return value

    def to_literal(self, value: Any, raw: RawData) -> Literal:
        """A duration; its seconds and nanoseconds have one sign (google/protobuf/duration.proto)."""
        del raw
        length = self.checked(value)
        seconds, microseconds = length.days * 86400 + length.seconds, length.microseconds
        if seconds < 0 < microseconds:
            seconds, microseconds = seconds + 1, microseconds - 10**6
        duration = Duration(seconds=seconds, nanos=microseconds * 1000)
        return Literal(scalar=Scalar(primitive=Primitive(duration=duration)))

    def from_literal(self, literal: Literal, raw: RawData) -> Any:
        """The length."""
        if is_packed(literal):
            return self.unpack(self.plain_of(literal), raw)
        if not literal.scalar.primitive.HasField("duration"):
            raise self.unreadable(literal)
        found = literal.scalar.primitive.duration
        return self._length(0, found.seconds, int(found.nanos / 1000))

    def pack(self, value: Any, raw: RawData) -> Plain:
        """Seconds."""
        del raw
        length = self.checked(value)
        seconds = length.total_seconds()
        if abs(length.days) < 10**8 and dt.timedelta(seconds=seconds) == length:
            return seconds
        return [length.days, length.seconds, length.microseconds]

    def unpack(self, plain: Plain, raw: RawData) -> Any:
        """Reads either form."""
        del raw
        if isinstance(plain, (int, float)) and not isinstance(plain, bool):
            return self._length(0, plain, 0)
        if isinstance(plain, list) and len(plain) == 3 and set(map(type, plain)) == {int}:
            return self._length(*plain)
        raise mismatch(self.hint, plain)

    def _length(self, days: int, seconds: float, microseconds: int) -> dt.timedelta:
        try:
            return dt.timedelta(days, seconds, microseconds)
        except (OverflowError, ValueError) as error:
            raise mismatch(self.hint, seconds, str(error)) from None

    def schema(self, known: Definitions) -> dict[str, Any]:
        """A number of seconds."""
        del known
        return {"type": "number", "format": "time-delta"}


def _timestamp(since: dt.timedelta) -> Literal:
    moment = Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)
    return Literal(scalar=Scalar(primitive=Primitive(datetime=moment)))


def _moment(converter: Converter, literal: Literal) -> dt.datetime:
    if not literal.scalar.primitive.HasField("datetime"):
        raise converter.unreadable(literal)
    found = literal.scalar.primitive.datetime
    try:
        return _EPOCH + dt.timedelta(seconds=found.seconds, microseconds=found.nanos // 1000)
    except OverflowError:
        raise mismatch(converter.hint, found.seconds, "the timestamp is beyond the years 1 to 9999") from None
