from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.errors import SourceChangedError, SourceError
from imagebuilder.layers import InstallTarget, TarEntry, WheelFile, assemble, entries_layer
from imagebuilder.layers.ahead import ahead
from imagebuilder.layers.layer import OnDisk
from imagebuilder.layers.tar_header import Kind, header

from .conftest import MakeWheel, blob, leftovers, read, record_of

SITE = "opt/venv/lib/python3.11/site-packages"
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters='/\\\0:"', exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30
)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=8).map("/".join)
CONTENTS = st.one_of(
    st.binary(max_size=400),
    st.integers(0, 3_000_000).map(bytes),
    st.binary(min_size=1, max_size=9).map(lambda b: b * 70_000),
)


@given(
    st.dictionaries(PATHS, CONTENTS, max_size=6),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_wheels_read_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], method: int
) -> None:
    files = {f"demo/{path}": data for path, data in files.items()}
    taken = {path for name in files for path in _above(name)}
    files = {name: data for name, data in files.items() if name not in taken}
    info = "demo-1.0.dist-info"
    files |= {f"{info}/METADATA": b"Name: demo\nVersion: 1.0\n", f"{info}/WHEEL": b"Wheel-Version: 1.0\n"}
    rows = record_of({f'"{name}"' if "," in name else name: data for name, data in files.items()}, f"{info}/RECORD")
    folder = tmp_path_factory.mktemp("random")
    path = folder / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in {**files, f"{info}/RECORD": rows}.items():
            archive.writestr(name, data)
    layer = assemble([WheelFile(path)], InstallTarget(), folder)[0]
    found = read(folder, layer)
    for name, data in files.items():
        entry, content = found[f"{SITE}/{name}"]
        assert content == data
        assert (entry.mode, entry.uid, entry.gid, entry.mtime) == (0o644, 0, 0, 315532800)


def _above(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def test_compressed_streams_are_copied(make_wheel: MakeWheel, store: Path) -> None:
    data = b"".join(b"line %d\n" % number for number in range(200_000))
    path = make_wheel({"big.txt": data})
    layer = assemble([WheelFile(path)], InstallTarget(), store)[0]
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("big.txt")
        with path.open("rb") as file:
            file.seek(info.header_offset + 30 + len("big.txt"))
            raw = file.read(info.compress_size)
    assert raw in blob(store, layer)


def test_archives_written_as_a_stream(tmp_path: Path, store: Path) -> None:
    """Their sizes come after the data, and in ZIP64 fields."""

    class Pipe:
        def __init__(self, path: Path) -> None:
            self.file = path.open("wb")

        def write(self, data: bytes) -> int:
            return self.file.write(data)

        def flush(self) -> None:
            self.file.flush()

    info = "demo-1.0.dist-info"
    files = {
        "demo.py": b"x = 1\n" * 1000,
        f"{info}/METADATA": b"Name: Demo\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\n",
    }
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    pipe = Pipe(path)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name, data in {**files, f"{info}/RECORD": record_of(files, f"{info}/RECORD")}.items():
            with archive.open(name, "w", force_zip64=name == "demo.py") as member:
                member.write(data)
    pipe.file.close()
    found = read(store, assemble([WheelFile(path)], InstallTarget(), store)[0])
    assert found[f"{SITE}/demo.py"][1] == files["demo.py"]


@pytest.mark.parametrize("length", [50, 99, 100, 101, 155, 240, 255, 256, 257, 300, 2000])
@pytest.mark.parametrize("letter", ["a", "é"])
def test_long_and_foreign_names(store: Path, length: int, letter: str) -> None:
    path = "/".join(["app", *[letter * 90] * (length // 91), letter * (length % 91 or 1)])
    entries = [TarEntry.file(path, b"x"), TarEntry.symlink("link", path), TarEntry.folder(f"{path}.d")]
    found = read(store, entries_layer(entries, store, what="names", owner=(3_000_000, 8)))
    assert found[path][1] == b"x"
    assert found["link"][0].linkname == path
    assert found[f"{path}.d"][0].isdir()
    assert found[path][0].uid == 3_000_000


def test_files_beyond_eight_gibibytes() -> None:
    block = header("big", Kind.FILE, mode=0o644, size=9 << 30, owner=(0, 0), mtime=0)
    assert len(block) == 3 * 512
    import io

    with tarfile.open(fileobj=io.BytesIO(block + bytes(1024))) as tar:
        assert tar.next().size == 9 << 30  # type: ignore[union-attr]


_SCRIPT = """
import sys
from imagebuilder.layers import *
wheels = [WheelFile(path) for path in sys.argv[2:]]
for layer in [write_skeleton(InstallTarget(), sys.argv[1]), *assemble(wheels, InstallTarget(), sys.argv[1])]:
    print(layer.descriptor.digest, layer.diff_id)
"""


def test_the_same_bytes_whatever_the_order_and_the_seed(make_wheel: MakeWheel, tmp_path: Path) -> None:
    wheels = [
        str(
            make_wheel(
                {f"m{number}.py": b"x" * number, "shared/__init__.py": b"%d" % (number % 3)}, name=f"demo{number}"
            )
        )
        for number in range(12)
    ]
    outputs = set()
    for seed, order in (("0", wheels), ("1", wheels[::-1]), ("2", wheels)):
        command = [sys.executable, "-c", _SCRIPT, str(tmp_path / seed), *order]
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        outputs.add(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)
    assert len(outputs) == 1


def test_golden_layer(make_wheel: MakeWheel, store: Path) -> None:
    """Its digest is that of every machine; a change here needs a new LAYOUT_VERSION."""
    path = make_wheel(
        {"demo/__init__.py": b"x = 1\n", "demo-1.0.dist-info/entry_points.txt": b"[console_scripts]\nd = demo:x\n"},
        method=zipfile.ZIP_STORED,
    )
    layer = assemble([WheelFile(path)], InstallTarget(), store)[0]
    assert layer.descriptor.digest == "sha256:9c600a7fbed099501d634e0ea948c8c3ff14fd8c6b2fccd3d1961291e5f874a6"


def test_files_on_disk_that_changed(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    content = OnDisk(str(path), hashlib.sha256(b"before").digest())
    entry = TarEntry("app/file", Kind.FILE, 0o644, 6, content)
    read(store, entries_layer([entry], store, what="before"))
    path.write_bytes(b"after!")
    with pytest.raises(SourceChangedError, match="changed while"):
        entries_layer([entry], store / "other", what="after")
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        entries_layer([entry], store / "other", what="gone")
    assert leftovers(store / "other") == []


def test_reading_ahead_ends_with_its_consumer() -> None:
    seen = []

    def items() -> object:
        for number in range(1000):
            seen.append(number)
            yield number

    with ahead(items(), 2) as found:  # type: ignore[arg-type]
        assert next(found) == 0
    assert len(seen) < 10
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_reading_ahead_passes_errors_on() -> None:
    def items() -> object:
        yield 1
        raise ValueError("two")

    with pytest.raises(ValueError, match="two"), ahead(items()) as found:  # type: ignore[arg-type]
        assert list(found)
