from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagebuilder import Image, build, identify
from imagebuilder.errors import LockError

if TYPE_CHECKING:
    from conftest import FakeBuilder, Project

    from imagebuilder.registry import MemoryRegistry

SPEC = """
app = Image.from_base("{host}/base:1", name="team/app", registry="{host}").with_env_vars({{"A": "b"}})
other = app.with_workdir("/x")
_part = app.with_workdir("/y")
"""


@pytest.fixture
def spec(project: Project, registry: MemoryRegistry, push_image: Any) -> str:
    """A spec on a base that is there; returns its base's digest."""
    digest: str = push_image(f"{registry.host}/base:1")
    project.spec(SPEC.format(host=registry.host))
    return digest


def tag(project: Project, *flags: str) -> list[str]:
    ended = project.run("identify", "spec.py", *flags)
    assert ended.code == 0, ended.err
    return [line.split()[1] for line in ended.out.splitlines()]


def test_a_lock_is_written_used_and_checked(project: Project, spec: str) -> None:
    before = tag(project)
    ended = project.run("lock", "spec.py")
    assert ended.code == 0
    assert ended.out.splitlines()[0].startswith("locked   app  ")
    text = (project.folder / "imagebuilder.lock").read_text()
    assert text.count(spec) == 4  # for each of two images, of the reference and of the platform
    assert project.run("lock", "spec.py", "--check").code == 0
    assert project.run("identify", "--locked", "spec.py").code == 0
    locked = tag(project)
    assert not {*locked} & {*before}
    assert tag(project, "--no-lock") == before
    assert project.run("lock", "spec.py").out.count("fresh  ") == 2
    assert (project.folder / "imagebuilder.lock").read_text() == text


def test_what_moved_is_told(project: Project, registry: MemoryRegistry, spec: str, push_image: Any) -> None:
    assert project.run("lock", "spec.py").code == 0
    fresh = tag(project)
    push_image(f"{registry.host}/base:2")
    project.spec(SPEC.format(host=registry.host).replace("base:1", "base:2"))
    for command in ("identify", "check", "build", "plan", "render", "warm"):
        ended = project.run(command, "spec.py", "--locked")
        assert ended.code == 1, ended
        assert "app: imagebuilder.lock is stale:\n  base " in ended.err
        assert "imagebuild lock" in ended.err
    ended = project.run("lock", "--check", "spec.py", "--json")
    assert ended.code == 1
    assert [one["state"] for one in ended.json["images"]] == ["stale", "stale"]
    assert "base:2" in ended.json["images"][0]["changes"][0]
    ended = project.run("identify", "spec.py")
    assert ended.code == 0
    assert ended.err.startswith("warning: app: its lock is stale and is not used: base ")
    ended = project.run("lock", "spec.py", "--name", "app")
    assert ended.code == 0
    assert "base:1 became" in ended.out
    ended = project.run("identify", "--locked", "spec.py")
    assert ended.code == 1
    assert "app" not in ended.err.partition("hint")[0].replace("imagebuilder", "")
    assert project.run("lock", "spec.py").code == 0
    assert not {*tag(project, "--locked")} & {*fresh}


def test_only_what_is_asked_for_is_upgraded(
    project: Project, registry: MemoryRegistry, spec: str, push_image: Any
) -> None:
    project.run("lock", "spec.py")
    newer = push_image(f"{registry.host}/base:1", {"new": "label"})
    assert newer != spec
    assert project.run("lock", "spec.py").out.count("fresh  ") == 2
    assert project.run("lock", "spec.py", "--upgrade-package", "numpy").out.count("fresh  ") == 2
    ended = project.run("lock", "spec.py", "--upgrade-base", "--json")
    assert [one["state"] for one in ended.json["images"]] == ["locked", "locked"]
    assert all(one["base"].endswith(newer) for one in ended.json["images"])
    assert f"{spec[:19]} became {newer[:19]}" in ended.json["images"][0]["changes"][0]


def test_a_missing_lock(project: Project, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = project.run("identify", "--locked", "spec.py")
    assert ended.code == 1
    assert "app is not locked: there is no imagebuilder.lock" in ended.err
    project.run("lock", "spec.py", "--name", "app")
    ended = project.run("identify", "--locked", "spec.py")
    assert (ended.code, "other is not locked: imagebuilder.lock does not have it" in ended.err) == (1, True)
    monkeypatch.setenv("IMAGEBUILDER_LOCKED", "true")
    assert project.run("identify", "spec.py").code == 1
    assert project.run("identify", "spec.py", "--no-lock").code == 0
    project.write("imagebuilder.toml", "locked = true\n")
    monkeypatch.delenv("IMAGEBUILDER_LOCKED")
    assert project.run("identify", "spec.py").code == 1
    assert project.run("identify", "spec.py", "--name", "app").code == 0


def test_misuse(project: Project, spec: str) -> None:
    for args in (("identify", "--locked", "--no-lock"), ("lock", "--check", "--upgrade")):
        ended = project.run(*args, "spec.py")
        assert (ended.code, "Traceback" in ended.err) == (2, False)
    project.write("imagebuilder.lock", "nonsense")
    for args in (("lock",), ("identify",), ("build",)):
        ended = project.run(*args, "spec.py")
        assert (ended.code, "Traceback" in ended.err) == (2, False)
        assert "imagebuilder.lock" in ended.err


def test_images_that_are_gone_leave_the_lock(project: Project, registry: MemoryRegistry, spec: str) -> None:
    project.run("lock", "spec.py")
    other = project.spec(f'app = Image.from_base("{registry.host}/base:1").with_workdir("/z")', "second.py")
    project.run("lock", other)
    project.spec(SPEC.format(host=registry.host).replace("other", "renamed"))
    assert project.run("lock", "spec.py", "--name", "app").code == 0
    text = (project.folder / "imagebuilder.lock").read_text()
    assert 'name = "other"' in text
    assert project.run("lock", "spec.py").code == 0
    text = (project.folder / "imagebuilder.lock").read_text()
    assert ('name = "other"' in text, 'name = "renamed"' in text, 'spec = "second.py"' in text) == (False, True, True)


def test_what_has_nothing_to_lock(project: Project, registry: MemoryRegistry, spec: str) -> None:
    project.write("Dockerfile", "FROM scratch\n")
    plain = f'plain = Image.from_base("{registry.host}/base:1")\nmade = Image.from_dockerfile("Dockerfile")\n'
    project.spec(plain)
    ended = project.run("lock", "spec.py")
    assert ended.code == 0
    assert ended.out.count("there is nothing to lock") == 2
    assert not (project.folder / "imagebuilder.lock").exists()
    assert project.run("identify", "--locked", "spec.py").code == 0


def test_a_locked_build_is_asked_for_what_is_pinned(
    project: Project, registry: MemoryRegistry, spec: str, builder: FakeBuilder
) -> None:
    project.run("lock", "spec.py")
    ended = project.run("build", "--locked", "spec.py", "--name", "app")
    assert ended.code == 0, ended.err
    (request,) = builder.requests
    assert request.plan.base == f"{registry.host}/base:1@{spec}"  # type: ignore[union-attr]
    assert "io.imagebuilder.lock" in dict(request.plan.labels)
    assert project.run("check", "--locked", "spec.py", "--name", "app").code == 0
    assert project.run("check", "--no-lock", "spec.py", "--name", "app").code == 1


def test_from_code(project: Project, registry: MemoryRegistry, spec: str, builder: FakeBuilder) -> None:
    project.run("lock", "spec.py")
    image = Image.from_base(f"{registry.host}/base:1", name="team/app", registry=registry.host)
    app = image.with_env_vars({"A": "b"})
    assert identify(app, lock="imagebuilder.lock") == [tag(project)[0]]
    assert identify(app) == [tag(project, "--no-lock")[0]]
    (result,) = build(app, lock=Path("imagebuilder.lock"))
    assert result.identifier == tag(project)[0]
    with pytest.raises(LockError, match="is stale:\n  base "):
        build(app.replace(base=Image.from_base(f"{registry.host}/base:3").base), lock="imagebuilder.lock")
    with pytest.raises(LockError, match=r"team/none is not locked: imagebuilder\.lock does not have it"):
        build(app.clone(name="team/none"), lock="imagebuilder.lock")
    with pytest.raises(LockError, match=r"there is no nowhere\.lock"):
        identify(app, lock="nowhere.lock")


def test_credentials_are_not_in_the_lock(project: Project, registry: MemoryRegistry, spec: str) -> None:
    secret = hashlib.sha256(b"a password").hexdigest()
    project.spec(
        f'app = Image.from_base("{registry.host}/base:1", registry_secret="LOGIN", registry="{registry.host}")'
        f'.with_pip_packages("six", index_url="https://user:{secret}@127.0.0.1:9/simple")'
    )
    ended = project.run("lock", "spec.py", "--json")
    assert ended.code != 0
    lock = project.folder / "imagebuilder.lock"
    assert secret not in ended.out + ended.err
    assert not lock.exists()
