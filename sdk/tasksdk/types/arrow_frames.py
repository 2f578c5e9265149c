"""Arrow tables as Parquet."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from flyteidl2.core.literals_pb2 import StructuredDataset

from tasksdk.types import storage
from tasksdk.types.frames import PARQUET, DataFrameDecoder, DataFrameEncoder, DataFrameTransformerEngine

if TYPE_CHECKING:
    from flyteidl2.core.literals_pb2 import StructuredDatasetMetadata
    from flyteidl2.core.types_pb2 import StructuredDatasetType

    from tasksdk.types.dataframe import DataFrame


def read_table(uri: str, metadata: StructuredDatasetMetadata) -> Any:
    """The table of a Parquet file, or of a folder of them; of the columns that are named, or all."""
    columns = [column.name for column in metadata.structured_dataset_type.columns] or None
    path = storage.local_path(uri)
    if path is not None:
        return pq.read_table(path, columns=columns)
    with tempfile.TemporaryDirectory(prefix="tasksdk-frame-") as folder:
        target = Path(folder, "frame")
        storage.fetch(uri, target)
        return pq.read_table(target, columns=columns, memory_map=False)


class ArrowParquetEncoder(DataFrameEncoder[pa.Table]):
    """pyarrow.Table to Parquet."""

    def encode(self, dataframe: DataFrame, structured_dataset_type: StructuredDatasetType) -> StructuredDataset:
        """Writes one file."""
        del structured_dataset_type
        uri = dataframe.uri or ""
        with storage.open_uri(uri, "wb") as opened:
            pq.write_table(dataframe.val, opened)
        return StructuredDataset(uri=uri)


class ArrowParquetDecoder(DataFrameDecoder[pa.Table]):
    """Parquet to pyarrow.Table."""

    def decode(self, flyte_value: StructuredDataset, current_task_metadata: StructuredDatasetMetadata) -> Any:
        """Reads all files."""
        return read_table(flyte_value.uri, current_task_metadata)


DataFrameTransformerEngine.register(ArrowParquetEncoder(pa.Table, None, PARQUET), override=True)
DataFrameTransformerEngine.register(ArrowParquetDecoder(pa.Table, None, PARQUET), override=True)
