"""The command line of `docker buildx build`, decided without running anything."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.plan.render import CA_SECRET, SITE_SECRET
from imagebuilder.plan.wheels import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imagebuilder.builders.port import BuildRequest
    from imagebuilder.spec.platform import Platform

# 1980-01-01, the first day a zip file can name: earlier dates break tools that pack what they find in an image.
SOURCE_DATE_EPOCH = 315532800


@dataclass(frozen=True)
class Command:
    """Arguments and additional environment; secrets stand in the environment, never in an argument."""

    args: tuple[str, ...]
    environ: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Command({' '.join(self.args)})"


def build_command(
    request: BuildRequest,
    *,
    dockerfile: Path,
    context: Path,
    output: Path | None,
    metadata: Path | None = None,
    builder: str | None = None,
) -> Command:
    """Build to an OCI layout in `output`, with times that do not depend on when.

    Without `output` the image goes to the engine's own store; the file `metadata` says what it is there.
    """
    args = ["docker", "buildx", "build", "--file", str(dockerfile), "--progress", "rawjson"]
    args += ["--platform", ",".join(str(platform) for platform in request.platforms)]
    # Attestations carry the time of the build; what the image was made from stands in its labels.
    args += ["--provenance=false", "--sbom=false"]
    if output is not None:
        args += ["--output", _fields("type=oci", "tar=false", f"dest={output}", "compression=uncompressed")]
    else:
        args += ["--output", "type=docker"]
    if metadata is not None:
        args += ["--metadata-file", str(metadata)]
    args += ["--build-arg", f"SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}"]
    for key, value in request.plan.labels:
        args += ["--label", f"{key}={value}"]
    if builder is not None:
        args += ["--builder", builder]
    if request.site.network is not None:
        args += ["--network", request.site.network]
    if request.no_cache:
        args.append("--no-cache")
    for reference in request.cache_from:
        args += ["--cache-from", reference]
    for reference in request.cache_to:
        args += ["--cache-to", reference]
    only_here, environ = _only_while_building(request)
    return Command((*args, *only_here, str(context)), environ)


def wheels_command(
    request: BuildRequest,
    platform: Platform,
    *,
    context: Path,
    output: Path,
    base: str | None = None,
    builder: str | None = None,
) -> Command:
    """Build the wheels of `context` to the folder `output`; `base` is an OCI layout with a digest, where it is here."""
    args = ["docker", "buildx", "build", "--file", str(context / "Dockerfile"), "--progress", "rawjson"]
    args += ["--platform", str(platform), "--provenance=false", "--sbom=false"]
    args += ["--output", _fields("type=local", f"dest={output}")]
    if base is not None:
        args += ["--build-context", f"{BASE}=oci-layout://{base}"]
    if builder is not None:
        args += ["--builder", builder]
    if request.site.network is not None:
        args += ["--network", request.site.network]
    if request.no_cache:
        args.append("--no-cache")
    only_here, environ = _only_while_building(request)
    return Command((*args, *only_here, str(context)), environ)


def _only_while_building(request: BuildRequest) -> tuple[list[str], dict[str, str]]:
    """Secrets and what the site gives: named by arguments, their values in the environment."""
    site = request.site
    args: list[str] = []
    for name, _ in site.proxies:
        args += ["--build-arg", name]
    environ = dict(site.proxies)
    for number, (name, value) in enumerate(sorted(request.secrets.items())):
        variable = f"IMAGEBUILDER_SECRET_{number}"
        args += ["--secret", _fields(f"id={name}", f"env={variable}")]
        environ[variable] = value
    if site.script:
        args += ["--secret", _fields(f"id={SITE_SECRET}", "env=IMAGEBUILDER_SITE")]
        environ["IMAGEBUILDER_SITE"] = site.script
    if site.ca_bundle is not None:
        args += ["--secret", _fields(f"id={CA_SECRET}", f"src={site.ca_bundle}")]
    return args, environ


def _fields(*fields: str) -> str:
    """An option that buildx reads as CSV, so that a path may have a comma."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
