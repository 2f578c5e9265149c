"""The command line of `docker buildx build`, decided without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.builders.port import BuildRequest
from imagebuilder.plan.render import CA_SECRET, SITE_SECRET

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
    request: BuildRequest, *, dockerfile: Path, context: Path, output: Path, builder: str | None = None
) -> Command:
    """Build to an OCI layout in `output`, with times that do not depend on when."""
    site = request.site
    args = ["docker", "buildx", "build", "--file", str(dockerfile), "--progress", "rawjson"]
    args += ["--platform", ",".join(str(platform) for platform in request.platforms)]
    # Attestations carry the time of the build; what the image was made from stands in its labels.
    args += ["--provenance=false", "--sbom=false"]
    args += ["--output", f"type=oci,tar=false,dest={output},compression=uncompressed"]
    args += ["--build-arg", f"SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}"]
    for key, value in request.plan.labels:
        args += ["--label", f"{key}={value}"]
    if builder is not None:
        args += ["--builder", builder]
    if site.network is not None:
        args += ["--network", site.network]
    if request.no_cache:
        args.append("--no-cache")
    for reference in request.cache_from:
        args += ["--cache-from", reference]
    for reference in request.cache_to:
        args += ["--cache-to", reference]
    environ = {}
    for name, _ in site.proxies:
        args += ["--build-arg", name]
    environ.update(site.proxies)
    for number, (name, value) in enumerate(sorted(request.secrets.items())):
        variable = f"IMAGEBUILDER_SECRET_{number}"
        args += ["--secret", f"id={name},env={variable}"]
        environ[variable] = value
    if site.script:
        args += ["--secret", f"id={SITE_SECRET},env=IMAGEBUILDER_SITE"]
        environ["IMAGEBUILDER_SITE"] = site.script
    if site.ca_bundle is not None:
        args += ["--secret", f"id={CA_SECRET},src={site.ca_bundle}"]
    return Command((*args, str(context)), environ)
