from __future__ import annotations

import io
import shutil
import subprocess
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.builders.tar_times import NotATarError, clamp_times

LATEST = 315532800
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def clamp(data: bytes) -> tuple[bytes, int]:
    pieces = list(clamp_times(io.BytesIO(data), LATEST))
    return b"".join(piece for piece, _ in pieces), sum(count for _, count in pieces)


names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/\n", exclude_categories=("Cc", "Cs")), min_size=1, max_size=30
)
paths = st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=9).map("/".join)
whole = st.integers(0, 2**33 - 1)
times = st.one_of(
    whole, whole.map(float), st.floats(0, 2**33, allow_nan=False), st.sampled_from([LATEST, LATEST + 0.25])
)
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])


@st.composite
def entries(draw):
    info = tarfile.TarInfo(draw(paths))
    info.type, info.mtime = draw(kinds), draw(times)
    info.mode, info.uid, info.gid = (
        draw(st.integers(0, 0o7777)),
        draw(st.integers(0, 2**21 - 1)),
        draw(st.integers(0, 9)),
    )
    content = b""
    if info.isreg():
        content = draw(st.binary(max_size=1500))
        info.size = len(content)
    elif info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = draw(paths)
    if draw(st.booleans()):
        info.pax_headers = {"SCHILY.xattr.user.x": "20 mtime=99999999999\n", "atime": str(draw(times))}
    return info, content


def write(items, kind) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=kind) as tar:
        for info, content in items:
            try:
                tar.addfile(info, io.BytesIO(content))
            except (ValueError, UnicodeEncodeError):
                continue  # this format cannot say it
    return target.getvalue()


def read(data: bytes):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = []
        for member in tar:
            content = tar.extractfile(member).read() if member.isreg() else b""  # type: ignore[union-attr]
            kept = {key: value for key, value in member.pax_headers.items() if key not in ("mtime", "atime")}
            late = [float(member.pax_headers[key]) for key in ("mtime", "atime") if key in member.pax_headers]
            found.append(
                (
                    member.name,
                    member.type,
                    member.mode,
                    member.uid,
                    member.gid,
                    member.size,
                    member.linkname,
                    content,
                    kept,
                )
            )
            yield found[-1], max([member.mtime, *late])


@pytest.mark.parametrize("kind", FORMATS)
@given(items=st.lists(entries(), max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_everything_but_late_times_stays(kind, items):
    data = write(items, FORMATS[kind])
    new, changed = clamp(data)
    before, after = list(read(data)), list(read(new))
    assert [entry for entry, _ in before] == [entry for entry, _ in after]
    assert all(time <= LATEST for _, time in after)
    assert (changed > 0) == any(time > LATEST for _, time in before) or kind != "pax"
    if not changed:
        assert new == data
    assert clamp(new) == (new, 0)


@pytest.mark.parametrize("kind", FORMATS)
def test_gnu_tar_reads_it(kind, tmp_path):
    tar = shutil.which("tar")
    assert tar
    for number, name in enumerate(("a", "d/" + "long" * 20 + "/x" + "y" * 90, "x" * 90)):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"content" * number * 100)
    path = tmp_path / "x.tar"
    subprocess.run([tar, f"--format={kind}", "-cf", path, "-C", tmp_path / "in", "."], check=True)
    new, changed = clamp(path.read_bytes())
    assert changed
    listing = subprocess.run([tar, "-tvf", "-"], input=new, capture_output=True, check=True, env={"TZ": "UTC"})
    assert listing.stderr == b""
    assert all(" 1980-01-01 00:00 " in line for line in listing.stdout.decode().splitlines())
    (tmp_path / "out").mkdir()
    subprocess.run([tar, "-xf", "-", "-C", tmp_path / "out"], input=new, check=True)
    subprocess.run(["diff", "-r", tmp_path / "in", tmp_path / "out"], check=True)


@pytest.mark.parametrize("kind", ["gnu", "pax"])
def test_sparse_files(kind, tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        for number in range(60):  # more holes than one header holds
            file.seek(number * 300_000)
            file.write(b"data %d" % number)
    (tmp_path / "after").write_text("after")
    path = tmp_path / "x.tar"
    subprocess.run(["tar", f"--format={kind}", "-S", "-cf", path, "-C", tmp_path, "sparse", "after"], check=True)
    new, _ = clamp(path.read_bytes())
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", tmp_path / "out"], input=new, check=True)
    assert (tmp_path / "out" / "sparse").read_bytes() == (tmp_path / "sparse").read_bytes()
    assert (tmp_path / "out" / "after").read_text() == "after"
    assert (tmp_path / "out" / "after").stat().st_mtime == LATEST


def test_a_size_that_only_the_extended_header_says():
    """Files of more than 8 GiB: Go writes zero into the header's own field."""
    content = b"x" * 1000
    info = tarfile.TarInfo("big")
    info.size, info.mtime = 1000, LATEST + 5
    info.pax_headers = {"size": "1000"}
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(content))
        after = tarfile.TarInfo("after")
        after.mtime = LATEST + 5
        tar.addfile(after)
    data = bytearray(target.getvalue())
    header = data.index(b"big\0")
    data[header + 124 : header + 136] = b"00000000000\0"
    data[header + 148 : header + 156] = b" " * 8
    data[header + 148 : header + 156] = b"%06o\0 " % sum(data[header : header + 512])
    new, changed = clamp(bytes(data))
    assert changed == 2
    assert [time for _, time in read(new)] == [LATEST, LATEST]


@pytest.mark.parametrize("time", [2**40, -5, -(2**40)])
def test_times_that_octal_cannot_hold(time):
    info = tarfile.TarInfo("x")
    info.mtime = time
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(info)
    [(_, found)] = read(clamp(target.getvalue())[0])
    assert found == min(time, LATEST)


@pytest.mark.parametrize("damage", [b"x" * 512, b"x" * 100, b"\0" * 124 + b"zz" + b"\0" * 386])
def test_what_is_no_tar(damage):
    with pytest.raises(NotATarError):
        clamp(damage)


def test_a_tar_that_is_cut_short():
    info = tarfile.TarInfo("x")
    info.size = 5000
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info.mtime = LATEST + 0.5
        tar.addfile(info, io.BytesIO(b"x" * 5000))
    for at in (700, 1100, 2500):
        with pytest.raises(NotATarError):
            clamp(target.getvalue()[:at])


def test_what_follows_the_end_is_padding():
    data = b"\0" * 1024 + b"anything" * 200
    assert clamp(data) == (data, 0)
