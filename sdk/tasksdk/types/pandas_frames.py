"""pandas frames as Parquet and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from flyteidl2.core.literals_pb2 import StructuredDataset

from tasksdk.errors import MissingDependencyError
from tasksdk.types import storage
from tasksdk.types.frames import PARQUET, DataFrameDecoder, DataFrameEncoder, DataFrameTransformerEngine

if TYPE_CHECKING:
    from flyteidl2.core.literals_pb2 import StructuredDatasetMetadata
    from flyteidl2.core.types_pb2 import StructuredDatasetType

    from tasksdk.types.dataframe import DataFrame

CSV = "csv"


def _need_arrow() -> None:
    try:
        import pyarrow as pa  # noqa: F401 - pandas imports it by itself
    except ImportError:
        raise MissingDependencyError(
            "pandas frames travel as Parquet, and pyarrow is not installed",
            hint='pip install pyarrow, or write Annotated[pandas.DataFrame, "csv"]',
        ) from None


class PandasParquetEncoder(DataFrameEncoder[pd.DataFrame]):
    """pandas.DataFrame to Parquet, its index included."""

    def encode(self, dataframe: DataFrame, structured_dataset_type: StructuredDatasetType) -> StructuredDataset:
        """Writes one file."""
        del structured_dataset_type
        _need_arrow()
        uri = dataframe.uri or ""
        with storage.open_uri(uri, "wb") as opened:
            dataframe.val.to_parquet(opened)
        return StructuredDataset(uri=uri)


class PandasParquetDecoder(DataFrameDecoder[pd.DataFrame]):
    """Parquet to pandas.DataFrame."""

    def decode(self, flyte_value: StructuredDataset, current_task_metadata: StructuredDatasetMetadata) -> pd.DataFrame:
        """Reads all files."""
        _need_arrow()
        from tasksdk.types.arrow_frames import read_table

        frame: pd.DataFrame = read_table(flyte_value.uri, current_task_metadata).to_pandas()
        return frame


class PandasCsvEncoder(DataFrameEncoder[pd.DataFrame]):
    """pandas.DataFrame to CSV, without its index."""

    def encode(self, dataframe: DataFrame, structured_dataset_type: StructuredDatasetType) -> StructuredDataset:
        """Writes one file."""
        del structured_dataset_type
        uri = dataframe.uri or ""
        with storage.open_uri(uri, "wb") as opened:
            dataframe.val.to_csv(opened, index=False)
        return StructuredDataset(uri=uri)


class PandasCsvDecoder(DataFrameDecoder[pd.DataFrame]):
    """CSV to pandas.DataFrame."""

    def decode(self, flyte_value: StructuredDataset, current_task_metadata: StructuredDatasetMetadata) -> pd.DataFrame:
        """Reads one file."""
        columns = [column.name for column in current_task_metadata.structured_dataset_type.columns] or None
        with storage.open_uri(flyte_value.uri, "rb") as opened:
            return pd.read_csv(opened, usecols=columns)


DataFrameTransformerEngine.register(PandasParquetEncoder(pd.DataFrame, None, PARQUET), override=True)
DataFrameTransformerEngine.register(PandasParquetDecoder(pd.DataFrame, None, PARQUET), override=True)
DataFrameTransformerEngine.register(PandasCsvEncoder(pd.DataFrame, None, CSV), override=True)
DataFrameTransformerEngine.register(PandasCsvDecoder(pd.DataFrame, None, CSV), override=True)
