"""Resolution by the real uv, with files of this machine and an index on it: no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imagebuilder.builders.site import Site
from imagebuilder.errors import BuildError, ImageBuilderError
from imagebuilder.packages import NeedsBuild, NeedsInstaller, ResolutionCache, choose
from imagebuilder.spec.credential import Index
from imagebuilder.spec.layers import PipOptions, PipPackages, PoetryProject, Wheels
from imagebuilder.spec.secret import Secret

from .conftest import make_wheel, sha256, target
from .resolving import OFFLINE, names, requirements, resolve


def test_a_requirements_file(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    found = resolve(environ, requirements(tmp_path, "zq-b"))
    assert names(found) == ["zq-a 2.0", "zq-b 1.0"]
    wheel = choose(found.packages[0], target())
    assert not isinstance(wheel, NeedsBuild)
    assert wheel.location == str(links / "zq_a-2.0-py3-none-any.whl")
    assert (wheel.place, wheel.sha256) == (
        "links-1/zq_a-2.0-py3-none-any.whl",
        sha256(Path(wheel.location).read_bytes()),
    )


def test_pre_releases_only_where_they_are_asked_for(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    assert names(resolve(environ, requirements(tmp_path, "zq-a", pre=True))) == ["zq-a 3.0rc1"]


def test_later_layers_keep_what_earlier_ones_fixed(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    old = requirements(tmp_path, "zq-a==1.0", "one.txt")
    assert names(resolve(environ, old, requirements(tmp_path, "zq-b", "two.txt"))) == ["zq-a 1.0", "zq-b 1.0"]
    # ... and replace it where they must.
    assert names(resolve(environ, old, requirements(tmp_path, "zq-c", "two.txt"))) == ["zq-a 2.0", "zq-c 1.0"]
    pre = requirements(tmp_path, "zq-a", "one.txt", pre=True)
    assert names(resolve(environ, pre, requirements(tmp_path, "zq-b", "two.txt"))) == ["zq-a 3.0rc1", "zq-b 1.0"]


def test_what_the_base_has_is_kept_and_not_listed(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    layer = requirements(tmp_path, "zq-b")
    assert names(resolve(environ, layer, installed={"zq-a": "1.0", "pip": "24.0"})) == ["zq-b 1.0"]
    layer = requirements(tmp_path, "zq-c")
    assert names(resolve(environ, layer, installed={"zq-a": "1.0"})) == ["zq-a 2.0", "zq-c 1.0"]


def test_wheels_and_what_they_need(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    a, b = links / "zq_a-1.0-py3-none-any.whl", links / "zq_b-1.0-py3-none-any.whl"
    found = resolve(environ, Wheels((str(a), str(b)), OFFLINE))
    assert names(found) == ["zq-a 1.0", "zq-b 1.0"]
    assert [package.wheels[0].location for package in found.packages] == [str(a), str(b)]
    assert {package.layer for package in found.packages} == {1}
    # A later layer finds in them what no index has.
    later = requirements(tmp_path, f"{links}/zq_b-1.0-py3-none-any.whl", "later.txt")
    found = resolve(environ, Wheels((str(a),), OFFLINE), later)
    assert [(str(package), package.layer) for package in found.packages] == [("zq-a 1.0", 1), ("zq-b 1.0", 2)]
    assert found.packages[0].wheels[0].location == str(a)


def test_an_index_never_replaces_what_an_earlier_layer_brought(
    environ: dict[str, str], tmp_path: Path, links: Path
) -> None:
    own = make_wheel(tmp_path / "own", "zq-a", "1.0", ("zq-d",))
    make_wheel(links, "zq-d", "1.0")
    wheels = Wheels((str(own), str(links / "zq_d-1.0-py3-none-any.whl")), OFFLINE)
    found = resolve(environ, wheels, requirements(tmp_path, "zq-b"))
    assert isinstance(found, NeedsInstaller)
    assert (found.layer, found.reason) == (2, "it needs zq-a, which an earlier layer brings from elsewhere")


def test_projects_of_this_machine_are_to_be_built(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    project = tmp_path / "lib"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "lib"\nversion = "1"\ndependencies = ["zq-a"]\n')
    found = resolve(environ, requirements(tmp_path, "./lib\n"))
    assert names(found) == ["lib", "zq-a 2.0"]
    built = choose(found.packages[0], target())
    assert isinstance(built, NeedsBuild)
    assert (built.is_possible, built.package.place) == (True, "local-1")


def test_hashes_are_verified(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    right = sha256((links / "zq_a-2.0-py3-none-any.whl").read_bytes())
    assert names(resolve(environ, requirements(tmp_path, f"zq-a==2.0 --hash=sha256:{right}"))) == ["zq-a 2.0"]
    with pytest.raises(BuildError, match=r"no file of zq-a 2.0 has one of the hashes"):
        resolve(environ, requirements(tmp_path, f"zq_A==2.0 \\\n --hash=sha256:{'0' * 64}"))
    text = f"--require-hashes\nzq-b==1.0 --hash=sha256:{sha256((links / 'zq_b-1.0-py3-none-any.whl').read_bytes())}"
    with pytest.raises(BuildError, match=r"--require-hashes is given, and zq-a 2.0 has no --hash"):
        resolve(environ, requirements(tmp_path, text))
    found = resolve(environ, requirements(tmp_path, f"zq-a==2.0 --hash=md5:{'0' * 32}"))
    assert isinstance(found, NeedsInstaller)


def test_what_cannot_be_resolved_says_where_and_why(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    with pytest.raises(BuildError) as caught:
        resolve(environ, requirements(tmp_path, "zq-a<2\nzq-c"))
    assert caught.value.message.startswith("layer 1, ")
    assert "zq-c" in caught.value.message
    assert "contradict" in str(caught.value.hint)
    assert str(tmp_path / "resolve-") not in str(caught.value)
    with pytest.raises(BuildError) as caught:
        resolve(environ, PipPackages(("zq-nowhere",), OFFLINE))
    assert "index" in str(caught.value.hint)


def test_layers_that_only_an_installer_understands(environ: dict[str, str], tmp_path: Path) -> None:
    layers = [
        PoetryProject("pyproject.toml"),
        PipPackages(("x",), PipOptions(extra_args=("--no-build-isolation",))),
        PipPackages(("x",), PipOptions(secret_mounts=(Secret("TOKEN", mount="/root/.netrc"),))),
    ]
    for layer in layers:
        found = resolve(environ, layer, secret_value=lambda secret: "value")
        assert isinstance(found, NeedsInstaller)
        assert found.layer == 1


def test_an_unchanged_spec_does_not_start_uv(environ: dict[str, str], tmp_path: Path, links: Path) -> None:
    now = [1000.0]
    cache = ResolutionCache(tmp_path / "cache", clock=lambda: now[0])
    layers = requirements(tmp_path, "zq-b", "one.txt"), Wheels((str(links / "zq_a-1.0-py3-none-any.whl"),), OFFLINE)
    first = resolve(environ, *layers, cache=cache)
    assert resolve(environ, *layers, cache=cache, command=("/nonexistent",)) == first
    assert resolve(environ, *layers, cache=cache, command=("/nonexistent",)).packages[0].wheels[0].location
    changes: list[dict[str, Any]] = [
        {"at": target((3, 12))},
        {"at": target(glibc=(2, 28))},
        {"at": target((3, 11, 4))},
        {"cutoff": "2020-01-01"},
        {"site": Site(index_url=Index("http://h.example/simple"))},
        {"installed": {"zq-a": "1.0"}},
    ]
    for change in changes:
        with pytest.raises(ImageBuilderError, match="uv cannot be started"):
            resolve(environ, *layers, cache=cache, command=("/nonexistent",), **change)
    now[0] += 601
    with pytest.raises(ImageBuilderError, match="uv cannot be started"):
        resolve(environ, *layers, cache=cache, command=("/nonexistent",))
    for path in (tmp_path / "cache").rglob("*.toml"):
        path.write_text("damaged")
    assert resolve(environ, *layers, cache=cache) == first
