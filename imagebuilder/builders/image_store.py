"""Takes what was built into Docker's own image store out of it, for engines whose BuildKit cannot write OCI layouts.

That is every engine without the containerd image store: the default of Docker before version 29.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import posixpath
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from imagebuilder.errors import BuildError
from imagebuilder.registry import media_types
from imagebuilder.registry.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from imagebuilder.registry.layout import OCILayout

NO_LAYOUTS = "OCI exporter is not supported for the docker driver"  # buildx's words
_CHUNK = 1 << 20
_DIGEST = "containerimage.config.digest"  # where buildx's metadata file names the image


class ImageStore:
    """Drives `docker image` with a given environment; blobs are kept in `layout`."""

    def __init__(self, environ: Mapping[str, str], layout: OCILayout) -> None:
        self._environ = dict(environ)
        self._layout = layout

    def take(self, name: str, metadata: Path, check: Callable[[], None]) -> Descriptor:
        """Move the image that a build's metadata file names into the layout; returns its manifest.

        `check` is called between pieces and may raise to stop. The engine keeps no image, whatever happens.

        Raises:
            BuildError: the engine does not give the image, or gives a broken one.
        """
        try:
            image = str(json.loads(metadata.read_bytes())[_DIGEST])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BuildError(f"{name}: docker buildx did not say what it built: {error!r}") from error
        try:
            with self._saved(name, image) as stream:
                return self._read(stream, check)
        except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise BuildError(
                f"{name}: what Docker saved of {image} is broken: {error}", hint="build the image again"
            ) from error
        finally:
            subprocess.run(["docker", "image", "rm", image], capture_output=True, check=False, env=self._environ)

    @contextlib.contextmanager
    def _saved(self, name: str, image: str) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                ["docker", "image", "save", image],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env=self._environ,
            )
            broken: Exception | None = None
            try:
                with cast("IO[bytes]", process.stdout) as stream:
                    try:
                        yield stream
                        while stream.read(_CHUNK):
                            pass
                    except (tarfile.TarError, ValueError, KeyError) as error:
                        broken = error
            except BaseException:
                process.kill()
                raise
            finally:
                code = process.wait()
            said.seek(0)
            words = said.read().decode(errors="replace").strip()
        if code > 0:
            raise BuildError(f"{name}: Docker did not save {image}: {words or f'exit code {code}'}") from broken
        if broken is not None:
            raise broken

    def _read(self, stream: IO[bytes], check: Callable[[], None]) -> Descriptor:
        """Read a docker-archive: files of any name, and `manifest.json` that says which is what."""
        digests: dict[str, str] = {}
        links: dict[str, str] = {}
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                check()
                if member.isfile():
                    content = tar.extractfile(member)
                    digests[member.name] = self._keep(cast("BinaryIO", content), check)
                elif member.issym():  # older engines write a layer once and link to it
                    links[member.name] = posixpath.normpath(posixpath.join(member.name, "..", member.linkname))
        (listed,) = self._json(digests["manifest.json"])
        config = digests[listed["Config"]]
        layers = [digests[links.get(path, path)] for path in listed["Layers"]]
        if self._json(config)["rootfs"]["diff_ids"] != layers:
            raise ValueError("its layers are not those of its config")
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": self._descriptor("application/vnd.oci.image.config.v1+json", config).to_json(),
            "layers": [self._descriptor(media_types.OCI_LAYER, layer).to_json() for layer in layers],
        }
        return self._layout.write(json.dumps(manifest, separators=(",", ":")).encode(), media_types.OCI_MANIFEST)

    def _keep(self, content: BinaryIO, check: Callable[[], None]) -> str:
        """Write a file under its digest, which is known when all of it has been read."""
        blobs = self._layout.folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        hasher = hashlib.sha256()
        target = tempfile.NamedTemporaryFile(dir=blobs, prefix=".part-", delete=False)  # noqa: SIM115 - renamed
        try:
            with target:
                while piece := content.read(_CHUNK):
                    check()
                    hasher.update(piece)
                    target.write(piece)
            Path(target.name).chmod(0o644)
            Path(target.name).replace(blobs / hasher.hexdigest())
        finally:
            Path(target.name).unlink(missing_ok=True)
        return f"sha256:{hasher.hexdigest()}"

    def _json(self, digest: str) -> Any:
        with self._layout.open(digest) as blob:
            return json.load(blob)

    def _descriptor(self, media_type: str, digest: str) -> Descriptor:
        return Descriptor(media_type, digest, self._layout.size(digest))
