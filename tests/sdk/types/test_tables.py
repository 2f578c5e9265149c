"""Tables of pandas and Arrow, and of classes with handlers of their own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa
import pytest
from flyteidl2.core.literals_pb2 import StructuredDataset
from hypothesis import given
from hypothesis import strategies as st
from tasksdk.errors import ConversionError, TaskDefinitionError
from tasksdk.types import (
    DataFrame,
    DataFrameDecoder,
    DataFrameEncoder,
    DataFrameTransformerEngine,
    RawData,
    TypeEngine,
)

from .samples import FLOATS, INTEGERS, TEXT, steady

COLUMNS: st.SearchStrategy[dict[str, list[Any]]] = st.integers(0, 20).flatmap(
    lambda size: st.dictionaries(
        st.text("abcdef", min_size=1, max_size=4),
        st.one_of(*(st.lists(kind, min_size=size, max_size=size) for kind in (INTEGERS, FLOATS, TEXT, st.booleans()))),
        min_size=1,
        max_size=5,
    )
)


@pytest.fixture(params=["local", "memory"])
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> RawData:
    return RawData(tmp_path / "raw" if request.param == "local" else f"memory://{tmp_path.name}/raw")


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"n": [1, 2], "text": ["x", "y"]}, index=pd.Index(["r1", "r2"], name="row"))


@steady
@given(COLUMNS)
def test_a_pandas_frame_comes_back(columns: dict[str, list[Any]]) -> None:
    value = pd.DataFrame(columns)
    raw = RawData("memory://hypothesis/raw")
    literal = TypeEngine.to_literal(raw, value, pd.DataFrame, TypeEngine.to_literal_type(pd.DataFrame))
    pd.testing.assert_frame_equal(TypeEngine.to_python_value(literal, pd.DataFrame), value, check_dtype=len(value) > 0)


@steady
@given(COLUMNS)
def test_an_arrow_table_comes_back(columns: dict[str, list[Any]]) -> None:
    value = pa.table(columns)
    literal = TypeEngine.to_literal(RawData("memory://hypothesis/raw"), value, pa.Table, None)
    assert TypeEngine.to_python_value(literal, pa.Table).equals(value)


def test_one_task_writes_pandas_and_another_reads_arrow(frame: pd.DataFrame, raw: RawData) -> None:
    literal = TypeEngine.to_literal(raw, frame, pd.DataFrame, None)
    found = literal.scalar.structured_dataset
    assert found.uri.startswith(raw.path)
    assert found.metadata.structured_dataset_type.format == "parquet"
    table = TypeEngine.to_python_value(literal, pa.Table)
    assert table.column("n").to_pylist() == [1, 2]
    back = TypeEngine.to_python_value(TypeEngine.to_literal(raw, table, pa.Table, None), pd.DataFrame)
    pd.testing.assert_frame_equal(back, frame)


def test_a_dataframe_is_read_when_and_as_it_is_asked(frame: pd.DataFrame, raw: RawData) -> None:
    sent = TypeEngine.to_literal(raw, DataFrame.from_df(frame), DataFrame, TypeEngine.to_literal_type(DataFrame))
    found = TypeEngine.to_python_value(sent, DataFrame)
    assert found.val is None
    pd.testing.assert_frame_equal(found.open(pd.DataFrame).all_sync(), frame)
    assert asyncio.run(found.open(pa.Table).all()).num_rows == 2
    assert TypeEngine.to_literal(RawData("/elsewhere"), found, DataFrame, None) == sent
    with pytest.raises(ConversionError, match=r"write frame.open\(pandas.DataFrame\).all_sync\(\)"):
        found.all_sync()


def test_a_frame_in_memory_is_asked_for_directly(frame: pd.DataFrame) -> None:
    assert DataFrame.from_df(frame).all_sync() is frame
    assert DataFrame.from_df(frame).open(pa.Table).all_sync().num_rows == 2


def test_a_table_that_is_stored_already(frame: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(2):
        frame.to_parquet(folder / f"{part}.parquet")
    value = DataFrame.from_existing_remote(folder, hash="v7")
    literal = TypeEngine.to_literal(value, DataFrame, None)
    assert (literal.scalar.structured_dataset.uri, literal.hash) == (str(folder), "v7")
    assert len(TypeEngine.to_python_value(literal, pd.DataFrame)) == 4
    assert TypeEngine.to_python_value(literal, DataFrame) == value


def test_annotations_name_format_and_columns(frame: pd.DataFrame, raw: RawData) -> None:
    columns = OrderedDict(text=str)
    hint = Annotated[pd.DataFrame, columns, "csv"]
    kind = TypeEngine.to_literal_type(hint).structured_dataset_type
    assert (kind.format, [column.name for column in kind.columns]) == ("csv", ["text"])
    literal = TypeEngine.to_literal(raw, frame, hint, None)
    assert literal.scalar.structured_dataset.uri.endswith(".csv")
    assert list(TypeEngine.to_python_value(literal, hint).columns) == ["text"]
    parquet = TypeEngine.to_literal(raw, frame, pd.DataFrame, None)
    assert list(TypeEngine.to_python_value(parquet, Annotated[pa.Table, columns]).column_names) == ["text"]


@dataclass
class Report:
    frame: pd.DataFrame
    table: pa.Table
    loose: DataFrame


def test_tables_inside_dataclasses_lists_and_any(frame: pd.DataFrame, raw: RawData) -> None:
    value = Report(frame, pa.Table.from_pandas(frame), DataFrame.from_df(frame))
    found = TypeEngine.to_python_value(TypeEngine.to_literal(raw, value, Report, None), Report)
    pd.testing.assert_frame_equal(found.frame, frame)
    pd.testing.assert_frame_equal(found.loose.open(pd.DataFrame).all_sync(), frame)
    assert found.table.equals(value.table)
    frames = list[pd.DataFrame]
    assert len(TypeEngine.to_python_value(TypeEngine.to_literal(raw, [frame] * 2, frames, None), frames)) == 2
    anything = TypeEngine.to_python_value(TypeEngine.to_literal(raw, DataFrame(frame), Any, None), Any)
    assert isinstance(anything, DataFrame)
    optional = pd.DataFrame | None
    assert TypeEngine.to_python_value(TypeEngine.to_literal(raw, None, optional, None), optional) is None
    assert len(TypeEngine.to_python_value(TypeEngine.to_literal(raw, frame, optional, None), optional)) == 2


class Rows:
    """A table of the user's own."""

    def __init__(self, rows: list[str]) -> None:
        self.rows = rows


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


class RowsEncoder(DataFrameEncoder[Rows]):
    async def encode(self, dataframe: DataFrame, structured_dataset_type: Any) -> StructuredDataset:
        assert structured_dataset_type.format == "lines"
        await asyncio.to_thread(write, Path(str(dataframe.uri)), "\n".join(dataframe.val.rows))
        return StructuredDataset(uri=dataframe.uri)


class RowsDecoder(DataFrameDecoder[Rows]):
    def decode(self, flyte_value: StructuredDataset, current_task_metadata: Any) -> Rows:
        return Rows(Path(flyte_value.uri).read_text().split("\n"))


def test_handlers_of_the_users(tmp_path: Path) -> None:
    DataFrameTransformerEngine.register(RowsEncoder(Rows, "file", "lines"), override=True)
    DataFrameTransformerEngine.register(RowsDecoder(Rows, "file", "lines"), override=True)
    raw = RawData(tmp_path)
    literal = TypeEngine.to_literal(raw, Rows(["a", "b"]), Rows, None)
    assert literal.scalar.structured_dataset.metadata.structured_dataset_type.format == "lines"
    assert TypeEngine.to_python_value(literal, Rows).rows == ["a", "b"]

    async def awaited() -> Rows:
        found = await TypeEngine.to_literal.aio(raw, Rows(["c"]), Rows, None)
        rows: Rows = await TypeEngine.to_python_value.aio(found, Rows)
        return rows

    assert asyncio.run(awaited()).rows == ["c"]
    with pytest.raises(TaskDefinitionError, match="Rows in lines has a handler already"):
        DataFrameTransformerEngine.register(RowsEncoder(Rows, "file", "lines"))
    with pytest.raises(ConversionError, match="no encoder writes Rows as 'lines'"):
        TypeEngine.to_literal(RawData("memory://rows"), Rows([]), Rows, None)
    with pytest.raises(ConversionError, match=r"no decoder reads 'lines' as pandas.DataFrame"):
        TypeEngine.to_python_value(literal, pd.DataFrame)


def test_what_is_no_table(frame: pd.DataFrame) -> None:
    with pytest.raises(ConversionError, match=r"f: expected pandas.DataFrame, got str 'x'"):
        TypeEngine.to_literal("x", pd.DataFrame, None, subject="f")
    with pytest.raises(ConversionError, match=r"expected pyarrow.Table, got pandas.DataFrame"):
        TypeEngine.to_literal(DataFrame(frame), pa.Table, None)
    with pytest.raises(ConversionError, match=r"expected DataFrame, got int 3"):
        TypeEngine.to_literal(3, DataFrame, None)
    with pytest.raises(ConversionError, match=r"expected pandas.DataFrame, got a primitive integer 3"):
        TypeEngine.to_python_value(TypeEngine.to_literal(3, int, None), pd.DataFrame)
    missing = TypeEngine.to_literal(DataFrame.from_existing_remote("/no/such"), DataFrame, None)
    with pytest.raises(ConversionError, match=r"got DataFrame\(uri='/no/such', format='parquet'\): FileNotFoundError"):
        TypeEngine.to_python_value(missing, pd.DataFrame)
