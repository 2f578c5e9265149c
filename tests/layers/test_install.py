from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest

from imagebuilder.errors import SourceError, SpecError
from imagebuilder.layers import InstallTarget, LayerCache, WheelFile, assemble, write_skeleton

from .conftest import MakeWheel, read

SITE = "opt/venv/lib/python3.11/site-packages"
INFO = "demo-1.0.dist-info"


def test_where_it_came_from(make_wheel: MakeWheel, store: Path, tmp_path: Path) -> None:
    """The wheel's own file is not trusted; the same wheel from elsewhere is another layer, and no cache mixes them."""
    path = make_wheel({"demo.py": b"x = 1\n", f"{INFO}/direct_url.json": b"{}"})
    cache, noted = LayerCache(tmp_path / "layers"), f"{SITE}/{INFO}/direct_url.json"
    found = []
    for said in ("", '{"url":"file:///a"}', '{"url":"file:///b"}', '{"url":"file:///a"}'):
        (layer,) = assemble([WheelFile(path, direct_url=said)], InstallTarget(), store, cache=cache)
        entries = read(store, layer)
        assert (entries[noted][1].decode() if noted in entries else "") == said
        assert (b"direct_url.json,sha256=" in entries[f"{SITE}/{INFO}/RECORD"][1]) == bool(said)
        found.append(layer.diff_id)
    assert found[1] == found[3]
    assert len(set(found)) == 3


def test_everything_an_installer_makes(make_wheel: MakeWheel, store: Path) -> None:
    path = make_wheel(
        {
            "demo/__init__.py": b"",
            "demo/run.sh": b"#!/bin/sh\n",
            "demo/_vendor/other-2.0.dist-info/METADATA": b"Name: other\n",
            "demo-1.0.data/purelib/pure.py": b"pure",
            "demo-1.0.data/platlib/plat.so": b"\x7fELF",
            "demo-1.0.data/scripts/tool": b"#!python -E\nprint(1)\n",
            "demo-1.0.data/scripts/gui": b"#!pythonw\nprint(1)\n",
            "demo-1.0.data/scripts/shell": b"#!/bin/sh\n",
            "demo-1.0.data/headers/demo.h": b"#define X",
            "demo-1.0.data/data/share/man/demo.1": b".TH",
            "demo-1.0.data/data/lib64/demo.txt": b"64",
            "demo-1.0.data/data/bin/data": b"#!python\n",
            f"{INFO}/entry_points.txt": b"[console_scripts]\nDemo = demo.cli:App.run [x]\n[gui_scripts]\nwin=demo:x\n",
        },
        modes={"demo/run.sh": 0o100755, f"{INFO}/RECORD": 0o100755},
        folders=("demo/", "demo/empty/"),
        extra={f"{INFO}/RECORD.jws": b"{}"},
    )
    found = read(store, assemble([WheelFile(path)], InstallTarget(owner=(7, 8)), store)[0])
    modes = {path: entry.mode for path, (entry, _) in found.items() if entry.isfile()}
    assert {path for path, mode in modes.items() if mode == 0o755} == {
        f"{SITE}/demo/run.sh",
        f"{SITE}/{INFO}/RECORD",
        *(f"opt/venv/bin/{name}" for name in ("tool", "gui", "shell", "Demo", "win")),
    }
    assert found["opt/venv/bin/tool"][1] == b"#!/opt/venv/bin/python -E\nprint(1)\n"
    assert found["opt/venv/bin/gui"][1] == b"#!/opt/venv/bin/python\nprint(1)\n"
    assert found["opt/venv/bin/data"][1] == b"#!python\n"  # data is copied as it is
    assert found["opt/venv/bin/shell"][1] == b"#!/bin/sh\n"
    assert b"from demo.cli import App\n" in found["opt/venv/bin/Demo"][1]
    assert b"sys.exit(App.run())" in found["opt/venv/bin/Demo"][1]
    assert found[f"{SITE}/plat.so"][1] == b"\x7fELF"
    assert found["opt/venv/include/site/python3.11/demo/demo.h"][1] == b"#define X"
    assert found["opt/venv/share/man/demo.1"][1] == b".TH"
    assert found["opt/venv/lib/demo.txt"][1] == b"64"
    assert found[f"{SITE}/demo/empty"][0].isdir()
    assert found[f"{SITE}/{INFO}/INSTALLER"][1] == b"imagebuilder"
    assert found[f"{SITE}/{INFO}/REQUESTED"][1] == b""
    assert not [path for path in found if ".data" in path or path.endswith(".jws")]
    assert {(entry.uid, entry.gid) for entry, _ in found.values()} == {(7, 8)}
    assert "opt" not in found
    assert "opt/venv" not in found
    assert all(found[folder][0].mode == 0o755 for folder in ("opt/venv/bin", "opt/venv/lib", SITE))
    rows = {row[0]: row for row in csv.reader(io.StringIO(found[f"{SITE}/{INFO}/RECORD"][1].decode()))}
    listed = {str(Path(f"/{SITE}") / name) for name in rows}
    assert len(listed) == len(rows)
    from os.path import normpath

    assert {normpath(name).lstrip("/") for name in listed} == set(modes)
    assert rows[f"{INFO}/RECORD"] == [f"{INFO}/RECORD", "", ""]
    assert rows["../../../bin/tool"][2] == str(len(found["opt/venv/bin/tool"][1]))


@pytest.mark.parametrize("record", [b"", f"{INFO}/RECORD,,\n".encode()])
def test_a_record_that_lists_nothing(make_wheel: MakeWheel, store: Path, record: bytes) -> None:
    """As uv does it; what is installed has a whole one."""
    files = {
        "demo/__init__.py": b"x = 1\n",
        "demo/large.bin": bytes(3_000_000),
        "demo-1.0.data/scripts/run": b"#!python\n",
    }
    listed = [
        read(store / name, assemble([WheelFile(make_wheel(files, **given))], InstallTarget(), store / name)[0])
        for name, given in (("without", {"record": record}), ("with", {}))
    ]
    assert {path: content for path, (_, content) in listed[0].items()} == {
        path: content for path, (_, content) in listed[1].items()
    }


def test_long_prefixes_and_spaces(make_wheel: MakeWheel, store: Path) -> None:
    path = make_wheel({f"{INFO}/entry_points.txt": b"[console_scripts]\nd = demo:x\n"})
    for prefix in ("/opt/my env", "/" + "x" * 200):
        found = read(store, assemble([WheelFile(path)], InstallTarget(prefix), store)[0])
        script = found[f"{prefix[1:]}/bin/d"][1]
        assert script.startswith(b"#!/bin/sh\n'''exec' \"%s/bin/python\" \"$0\" \"$@\"\n' '''\n" % prefix.encode())
        compile(script, "d", "exec")


@pytest.mark.parametrize("prefix", ["opt/venv", "/", "/opt/../etc", "/opt/venv/", "//x/../y", ""])
def test_prefixes_that_are_none(prefix: str) -> None:
    with pytest.raises(SpecError):
        InstallTarget(prefix)


def test_names_that_differ_only_in_writing(make_wheel: MakeWheel, store: Path) -> None:
    path = make_wheel(
        name="My_Demo", version="1.0.0", dist_info="my.demo-1.0.dist-info", metadata=b"Name: MY-demo\nVersion: 1.0\n"
    )
    wheel = WheelFile(path)
    assert wheel.name == "my-demo"
    found = read(store, assemble([wheel], InstallTarget(), store)[0])
    assert f"{SITE}/my.demo-1.0.dist-info/RECORD" in found


def test_a_generated_script_replaces_a_packed_one(make_wheel: MakeWheel, store: Path) -> None:
    path = make_wheel(
        {"demo-1.0.data/scripts/d": b"#!python\n", f"{INFO}/entry_points.txt": b"[console_scripts]\nd = demo:x\n"}
    )
    found = read(store, assemble([WheelFile(path)], InstallTarget(), store)[0])
    assert b"from demo import x" in found["opt/venv/bin/d"][1]


def test_the_same_file_in_two_wheels_needs_no_shared_layer(make_wheel: MakeWheel, store: Path) -> None:
    wheels = [
        WheelFile(make_wheel({"ns/__init__.py": b"same", f"ns/{name}.py": b""}, name=name)) for name in "abcdefgh"
    ]
    layers = assemble(wheels, InstallTarget(), store)
    assert len(layers) > 1
    assert all(read(store, layer)[f"{SITE}/ns/__init__.py"][1] == b"same" for layer in layers)


def test_different_files_share_a_layer_and_the_last_name_wins(make_wheel: MakeWheel, store: Path) -> None:
    wheels = [WheelFile(make_wheel({"ns/__init__.py": name.encode()}, name=name)) for name in "hgfedcba"]
    (layer,) = assemble(wheels, InstallTarget(), store)
    assert read(store, layer)[f"{SITE}/ns/__init__.py"][1] == b"h"


def test_one_wheels_file_is_anothers_folder(make_wheel: MakeWheel, store: Path) -> None:
    wheels = [WheelFile(make_wheel({"ns": b""}, name="a")), WheelFile(make_wheel({"ns/x.py": b""}, name="b"))]
    with pytest.raises(SourceError, match="is a file in a and a folder in b"):
        assemble(wheels, InstallTarget(), store)


def test_two_wheels_of_one_project(make_wheel: MakeWheel, store: Path) -> None:
    wheels = [WheelFile(make_wheel(version="1.0")), WheelFile(make_wheel(version="2.0"))]
    with pytest.raises(SourceError, match="two wheels of one project"):
        assemble(wheels, InstallTarget(), store)


def test_the_wheel_itself_may_be_stored(make_wheel: MakeWheel, store: Path) -> None:
    data = bytes(range(256)) * 2000
    path = make_wheel({"demo.bin": data, "empty.py": b""}, method=zipfile.ZIP_STORED)
    found = read(store, assemble([WheelFile(path)], InstallTarget(), store)[0])
    assert found[f"{SITE}/demo.bin"][1] == data
    assert found[f"{SITE}/empty.py"][1] == b""


def test_skeleton(store: Path) -> None:
    target = InstallTarget(interpreter="/usr/bin/python3", python=(3, 12))
    found = read(store, write_skeleton(target, store, version="3.12.4"))
    assert {path: entry.linkname for path, (entry, _) in found.items() if entry.issym()} == {
        "opt/venv/bin/python": "/usr/bin/python3",
        "opt/venv/bin/python3": "python",
        "opt/venv/bin/python3.12": "python",
        "opt/venv/lib64": "lib",
    }
    config = found["opt/venv/pyvenv.cfg"][1].decode()
    assert "home = /usr/bin\n" in config
    assert "version_info = 3.12.4\n" in config
    assert "opt" not in found
    assert found["opt/venv"][0].isdir()
