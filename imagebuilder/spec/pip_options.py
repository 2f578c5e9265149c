"""The arguments that every Python layer takes, checked where they are written."""

from __future__ import annotations

from collections.abc import Sequence

from imagebuilder.errors import SpecError
from imagebuilder.spec import arguments
from imagebuilder.spec.credential import Index, has_credentials, mask
from imagebuilder.spec.layers import InstallMode, PipOptions
from imagebuilder.spec.secret import SecretRequest, secrets_from

IndexUrls = str | Sequence[str]


def pip_options(
    at: str,
    *,
    index_url: str | None = None,
    extra_index_urls: IndexUrls | None = None,
    pre: bool = False,
    extra_args: str | None = None,
    secret_mounts: SecretRequest | None = None,
) -> PipOptions:
    """Check them all; `at` is the call they were given to.

    Raises:
        SpecError: one of them is not what it should be, or holds credentials that would be published.
    """
    if not isinstance(extra_index_urls, (str, list, tuple, type(None))):
        raise SpecError(
            f"{at}: extra_index_urls is a list of URLs", hint='write extra_index_urls=["https://host/simple"]'
        )
    given = (extra_index_urls,) if isinstance(extra_index_urls, str) else tuple(extra_index_urls or ())
    extra = tuple(Index.parse(url, f"{at} extra_index_urls") for url in given)
    index = None if index_url is None else Index.parse(index_url, f"{at} index_url")
    return PipOptions(
        index_url=index,
        extra_index_urls=extra,
        pre=arguments.flag(pre, f"{at} pre"),
        extra_args=_words(extra_args, at) if extra_args else (),
        secret_mounts=secrets_from(secret_mounts, at),
    )


def install_mode(mode: object, at: str) -> InstallMode:
    """One of the two ways to install a project."""
    if mode == "dependencies_only":
        return "dependencies_only"
    if mode == "install_project":
        return "install_project"
    raise SpecError(
        f"{at}: {mode!r} is not an install mode",
        hint='write project_install_mode="dependencies_only" or "install_project"',
    )


def _words(extra_args: str, at: str) -> tuple[str, ...]:
    import shlex

    example = 'extra_args="--no-build-isolation"'
    if not isinstance(extra_args, str):
        raise SpecError(f"{at}: extra_args is one string", hint=f"write {example}")
    if has_credentials(extra_args):
        raise SpecError(
            f"{at}: extra_args has credentials in {mask(extra_args)!r}",
            hint="write the URL as index_url or extra_index_urls, or use secret_mounts",
        )
    try:
        return tuple(shlex.split(arguments.line(extra_args, at, example)))
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{at}: extra_args={extra_args!r} does not split into words: {error}") from error
