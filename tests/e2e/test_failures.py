"""Builds that fail, are cancelled, or are killed leave words for people, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagebuilder import Image
from imagebuilder.errors import BuildError, BuilderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Forge


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}, after {seconds:g} s"
        time.sleep(0.1)


def processes(mark: str) -> list[str]:
    """Command lines of this machine's processes that have `mark` in them, this one's own left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


def sleeper(forge: Forge, mark: str) -> Image:
    image = Image.from_debian_base("3.11", name=forge.name(f"sleeper-{mark}"), registry=forge.registry)
    return image.with_commands([f"echo began-{mark}; exec sleep 60{int(mark, 16) % 10**6:06d}"])


def test_a_failing_step_is_told_in_terms_of_the_spec(forge: Forge) -> None:
    image = (
        Image.from_debian_base("3.11", name=forge.name("failing"), registry=forge.registry)
        .with_env_vars({"A": "1"})
        .with_workdir("/somewhere/else")
        .with_commands(["true", "echo first words; echo last words >&2; exit 7", "echo never"])
    )
    with pytest.raises(BuildError) as caught:
        forge.build_one(image)
    message = caught.value.message
    assert message.startswith(f"{forge.name('failing')}: layer 3, ")
    assert "the command failed with exit code 7" in message
    assert "echo first words; echo last words >&2; exit 7" in message
    assert set(message.splitlines()[-2:]) == {"    first words", "    last words"}
    assert caught.value.exit_code == 1
    assert not forge.exists(f"{forge.registry}/{forge.name('failing')}:latest")


def test_a_missing_command_has_a_hint(forge: Forge) -> None:
    image = Image.from_debian_base("3.11", name=forge.name("no-command"), registry=forge.registry)
    with pytest.raises(BuildError, match="exit code 127") as caught:
        forge.build_one(image.with_commands(["no-such-command --x"]))
    assert "with_apt_packages" in (caught.value.hint or "")


def test_a_failure_in_a_dockerfile(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian:bookworm-slim\nRUN echo oh no && exit 5\n")
    with pytest.raises(BuildError, match="exit code 5") as caught:
        forge.build_one(Image.from_dockerfile(tmp_path / "Dockerfile", forge.registry, forge.name("own")))
    assert "oh no" in caught.value.message
    (tmp_path / "Dockerfile").write_text("FORM debian\n")
    with pytest.raises(BuildError, match="unknown instruction: FORM"):
        forge.build_one(Image.from_dockerfile(tmp_path / "Dockerfile", forge.registry, forge.name("own")))


def test_no_engine_answers(forge: Forge, tmp_path: Path) -> None:
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ |= {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "IMAGEBUILDER_CACHE_DIR": str(tmp_path / "cache")}
    image = Image.from_debian_base("3.11", name=forge.name("engine"), registry=forge.registry).with_commands(["true"])
    with pytest.raises(BuilderUnavailableError) as caught:
        made.build_one(image)
    assert caught.value.exit_code == 3
    assert "start Docker" in (caught.value.hint or "")
    made.environ["PATH"] = "/nonexistent"
    with pytest.raises(BuilderUnavailableError, match="not on PATH"):
        made.build_one(image)


def test_a_builder_of_no_such_name(forge: Forge, tmp_path: Path) -> None:
    made = type(forge)(forge.registry, forge.run_id, tmp_path, flags={"builder": "no-such-builder"})
    image = Image.from_debian_base("3.11", name=forge.name("named"), registry=forge.registry).with_commands(["true"])
    with pytest.raises(BuilderUnavailableError, match="no-such-builder"):
        made.build_one(image)


def test_a_cancelled_build_leaves_nothing_running(forge: Forge) -> None:
    mark = uuid.uuid4().hex[:8]
    image, cancel = sleeper(forge, mark), threading.Event()
    begun = threading.Event()

    def emit(event: object) -> None:
        if f"began-{mark}" in getattr(event, "line", ""):
            begun.set()

    failures: list[BaseException] = []

    def build() -> None:
        try:
            forge.build(image, cancel=cancel, emit=emit)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=build, daemon=True)
    thread.start()
    try:
        assert begun.wait(120)
        until(lambda: bool(processes(f"sleep 60{int(mark, 16) % 10**6:06d}")), 10, "the step is not running")
        assert processes("buildx build")
    finally:
        cancel.set()
    thread.join(120)  # the step sleeps for ten minutes and more
    assert not thread.is_alive()
    assert [type(error) for error in failures] == [KeyboardInterrupt]
    until(lambda: not processes(f"sleep 60{int(mark, 16) % 10**6:06d}"), 10, "the step is still running")
    assert not processes(forge.environ["IMAGEBUILDER_CACHE_DIR"])
    assert not list((Path(forge.environ["IMAGEBUILDER_CACHE_DIR"]) / "work").glob("build-*"))
    assert not forge.exists(f"{forge.registry}/{image.name}:{image.identifier}")


def test_one_failing_image_cancels_the_others(forge: Forge) -> None:
    mark = uuid.uuid4().hex[:8]
    failing = Image.from_debian_base("3.11", name=forge.name("fails"), registry=forge.registry)
    asked = time.monotonic()
    with pytest.raises(BuildError, match="exit code 3"):
        forge.build(sleeper(forge, mark), failing.with_commands(["sleep 1; exit 3"]), parallel=2)
    assert time.monotonic() - asked < 300  # the other step is not waited for
    until(lambda: not processes(f"sleep 60{int(mark, 16) % 10**6:06d}"), 10, "the other step is still running")


def test_a_killed_process_leaves_nothing_running_and_the_next_build_sweeps(forge: Forge, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex[:8]
    image, cache = sleeper(forge, mark), tmp_path / "cache"
    script = textwrap.dedent(f"""
        import imagebuilder
        from imagebuilder import Image
        image = {image!r}
        imagebuilder.build(image, on_event=lambda event: print(event, flush=True))
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**forge.environ, "IMAGEBUILDER_CACHE_DIR": str(cache)},
    ) as process:
        assert process.stdout is not None
        assert any(f"began-{mark}" in line for line in process.stdout)
        assert list((cache / "work").glob("build-*"))
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: not processes(f"sleep 60{int(mark, 16) % 10**6:06d}"), 20, "the step is still running")
    until(lambda: not processes(str(cache)), 20, "buildx is still running")
    assert list((cache / "work").glob("build-*"))
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ["IMAGEBUILDER_CACHE_DIR"] = str(cache)
    next_one = Image.from_debian_base("3.11", name=forge.name("next"), registry=forge.registry)
    assert made.build_one(next_one.with_commands([f": {mark}"])).built
    assert not list((cache / "work").glob("build-*"))


def test_an_interrupt_on_the_terminal(forge: Forge, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex[:8]
    image = sleeper(forge, mark)
    script = textwrap.dedent(f"""
        import imagebuilder
        from imagebuilder import Image
        imagebuilder.build({image!r}, on_event=lambda event: print(event, flush=True))
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=forge.environ,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert any(f"began-{mark}" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in said
    until(lambda: not processes(f"sleep 60{int(mark, 16) % 10**6:06d}"), 10, "the step is still running")


def test_a_cache_folder_with_an_odd_name(forge: Forge, tmp_path: Path) -> None:
    made = type(forge)(forge.registry, forge.run_id, tmp_path)
    made.environ["IMAGEBUILDER_CACHE_DIR"] = str(tmp_path / 'an "odd", näme')
    image = Image.from_base(
        f"{forge.registry}/library/debian:bookworm-slim", name=forge.name("odd"), registry=forge.registry
    )
    assert made.build_one(image.with_env_vars({"RUN": forge.run_id})).built
