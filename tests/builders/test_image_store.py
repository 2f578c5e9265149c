"""What `docker image save` writes, as engines of different ages write it; tests/e2e runs a real one."""

import hashlib
import io
import json
import os
import tarfile

import pytest

from imagebuilder.builders.image_store import ImageStore
from imagebuilder.errors import BuildError
from imagebuilder.registry.layout import OCILayout


def tar(entries):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def sha(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


LAYER, OTHER = tar([("etc/one", b"1")]), tar([("etc/two", b"2")])
CONFIG = json.dumps({"rootfs": {"type": "layers", "diff_ids": [sha(LAYER), sha(OTHER), sha(LAYER)]}}).encode()


def listed(config, *layers):
    return ("manifest.json", json.dumps([{"Config": config, "RepoTags": None, "Layers": layers}]).encode())


def blob(content):
    return f"blobs/sha256/{sha(content)[7:]}"


SAVED = {
    "before 25": tar(
        [
            ("aa/layer.tar", LAYER),
            ("aa/json", b"{}"),
            ("bb/layer.tar", OTHER),
            ("cc/layer.tar", "../aa/layer.tar"),
            ("config.json", CONFIG),
            listed("config.json", "aa/layer.tar", "bb/layer.tar", "cc/layer.tar"),
        ]
    ),
    "since 25": tar(
        [
            (blob(LAYER), LAYER),
            (blob(OTHER), OTHER),
            (blob(CONFIG), CONFIG),
            ("index.json", b"{}"),
            listed(blob(CONFIG), blob(LAYER), blob(OTHER), blob(LAYER)),
        ]
    ),
}


@pytest.fixture
def store(tmp_path):
    """Makes an image store whose `docker image save` prints an archive and whose `docker image rm` leaves a note."""

    def make(archive, code=0):
        (tmp_path / "archive").write_bytes(archive)
        script = (
            f'#!/bin/sh\n[ "$2" = rm ] && exec touch {tmp_path}/removed-$3\n'
            f"cat {tmp_path}/archive; [ {code} = 0 ] || echo no such image >&2; exit {code}\n"
        )
        (tmp_path / "docker").write_text(script)
        (tmp_path / "docker").chmod(0o755)
        (tmp_path / "metadata").write_text(json.dumps({"containerimage.config.digest": "id"}))
        return ImageStore({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, OCILayout(tmp_path / "layout"))

    make.removed = (tmp_path / "removed-id").exists
    return make


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.parametrize("age", SAVED)
def test_an_archive_becomes_an_image(store, tmp_path, age):
    layout = OCILayout(tmp_path / "layout")
    root = store(SAVED[age]).take("app", tmp_path / "metadata", lambda: None)
    with layout.open(root.digest) as stream:
        manifest = json.load(stream)
    assert manifest["config"]["digest"] == sha(CONFIG)
    assert [layer["digest"] for layer in manifest["layers"]] == [sha(LAYER), sha(OTHER), sha(LAYER)]
    assert layout.path(sha(OTHER)).read_bytes() == OTHER
    assert store.removed()


@pytest.mark.parametrize(
    "archive",
    [
        SAVED["since 25"][:2000],
        tar([(blob(CONFIG), CONFIG), (blob(LAYER), LAYER), listed(blob(CONFIG), blob(LAYER))]),
        tar([listed(blob(CONFIG))]),
        tar([("x", b"")]),
        b"not a tar",
    ],
    ids=["cut short", "other layers", "no config", "no manifest", "no archive"],
)
def test_a_broken_archive_is_an_error_and_leaves_nothing(store, tmp_path, archive):
    with pytest.raises(BuildError, match="app: what Docker saved of id is broken"):
        store(archive).take("app", tmp_path / "metadata", lambda: None)
    assert store.removed()
    assert not [path for path in (tmp_path / "layout").rglob("*") if path.name.startswith(".part-")]


def test_what_docker_says_is_told(store, tmp_path):
    with pytest.raises(BuildError, match="app: Docker did not save id: no such image"):
        store(b"", 1).take("app", tmp_path / "metadata", lambda: None)


def test_an_interrupt_stops_it(store, tmp_path):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store(SAVED["since 25"]).take("app", tmp_path / "metadata", stop)
    assert store.removed()
