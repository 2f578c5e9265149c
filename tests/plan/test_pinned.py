from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagebuilder import Image
from imagebuilder.identity.identifier import identify
from imagebuilder.identity.recipe import recipe
from imagebuilder.lock.pins import PinnedPackage, Pins, PlatformPins
from imagebuilder.packages.pylock import parse
from imagebuilder.plan.lower import lower
from imagebuilder.plan.ops import Plan
from imagebuilder.plan.pinned import pinned
from imagebuilder.plan.render import render
from imagebuilder.sources import Sources
from imagebuilder.sources.read import read_materials

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ROOT = f"sha256:{'1' * 64}"
AMD64, ARM64 = f"sha256:{'2' * 64}", f"sha256:{'3' * 64}"


def package(name: str, version: str = "1.0", step: int = 1) -> PinnedPackage:
    file = f"{name}-{version}-py3-none-any.whl"
    wheel = {"name": file, "url": f"https://h/{file}", "hashes": {"sha256": "ab" * 32}}
    return PinnedPackage(step, {"name": name, "version": version, "wheels": [wheel]})


def pins(*amd64: PinnedPackage, arm64: tuple[PinnedPackage, ...] | None = None, unpinned: str = "") -> Pins:
    both = [PlatformPins("linux/amd64", AMD64, "x86_64", unpinned=unpinned, packages=amd64)]
    if arm64 is not None:
        both.append(PlatformPins("linux/arm64", ARM64, "aarch64", packages=arm64))
    return Pins(ROOT, tuple(both))


def plan_of(image: Image) -> Plan:
    with Sources() as sources:
        materials = read_materials(image, sources, recipe().python_for)
    plan = lower(image, identify(image, materials, recipe()), materials, recipe())
    assert isinstance(plan, Plan)
    return plan


def files(plan: Plan, key: str) -> dict[str, Any]:
    return {at: piece.data.decode() for at, piece in plan.materials[key].pieces if hasattr(piece, "data")}


def test_the_base_is_named_by_its_digest() -> None:
    plan = pinned(plan_of(Image.from_debian_base("3.11", install_sdk=False)), pins())
    assert plan.base == f"python:3.11-slim-bookworm@{ROOT}"
    again = pinned(plan_of(Image.from_base(f"host/base:1@{AMD64}").with_env_vars({"A": "b"})), pins())
    assert again.base == f"host/base:1@{ROOT}"


def test_each_step_installs_its_own_packages() -> None:
    image = Image.from_debian_base("3.11", install_sdk=False).with_pip_packages(
        "a", index_url="https://u:hunter2hunter2@h/simple"
    )
    plan = pinned(
        plan_of(image.with_apt_packages("git").with_pip_packages("b")), pins(package("a"), package("b", step=2))
    )
    dockerfile = render(plan).dockerfile
    assert dockerfile.count("-r pylock.imagebuilder.toml") == 2
    assert "hunter2hunter2" not in dockerfile
    first, second = (parse(files(plan, key)["pylock.imagebuilder.toml"], key) for key in ("1-pinned", "3-pinned"))
    assert [one.name for one in first.packages] == ["a"]
    assert [one.name for one in second.packages] == ["b"]
    assert [step.layer for step in plan.steps] == [step.layer for step in plan_of(image).steps[:4]] + [1, 2, 3]


def test_files_of_a_layer_stay_beside_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements.txt").write_text("a\n")
    image = Image.from_debian_base("3.11", install_sdk=False).with_requirements("requirements.txt")
    plan = pinned(plan_of(image), pins(package("a")))
    (key,) = plan.materials
    assert set(files(plan, key)) == {"requirements.txt", "pylock.imagebuilder.toml"}
    assert "-r requirements.txt" not in render(plan).dockerfile


def test_markers_tell_platforms_apart() -> None:
    both = pins(package("a"), package("b"), arm64=(package("a"), package("b", "2.0"), package("c")))
    plan = pinned(
        plan_of(
            Image.from_debian_base(
                "3.11", install_sdk=False, platform=["linux/amd64", "linux/arm64"]
            ).with_pip_packages("a")
        ),
        both,
    )
    found = parse(files(plan, "1-pinned")["pylock.imagebuilder.toml"], "it").packages
    assert [(one.name, one.version, one.marker) for one in found] == [
        ("a", "1.0", ""),
        ("b", "2.0", "platform_machine == 'aarch64'"),
        ("b", "1.0", "platform_machine == 'x86_64'"),
        ("c", "1.0", "platform_machine == 'aarch64'"),
    ]


def test_what_is_not_pinned_stays() -> None:
    image = Image.from_debian_base("3.11", install_sdk=False).with_pip_packages("a")
    plan = plan_of(image)
    assert pinned(plan, pins(unpinned="it is built")).steps == plan.steps
