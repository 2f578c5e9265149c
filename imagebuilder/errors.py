"""Every error this project raises on purpose.

    ImageBuilderError                 exit code 1
    ├── InputError (ValueError)       2: what the user wrote is wrong
    │   ├── SpecError                    a spec that cannot mean anything
    │   ├── InvalidReferenceError        an image reference that does not parse
    │   ├── SourceError                  a file of the user's that cannot be part of an image
    │   ├── ConfigError                  a configuration file, variable or flag
    │   └── SecretError                  a secret that has no value, or stands where it must not
    ├── WorkError                     1: the work was understood and failed
    │   ├── BuildError                   a build step failed
    │   ├── SourceChangedError           a file changed between hashing and building
    │   ├── LockError                    a lock is missing, or does not fit its spec any more
    │   ├── PushError                    the registry refused what was pushed
    │   └── VerificationError            what is in the registry is not what was asked for
    └── UnknownError                  3: could not find out
        ├── RegistryError                the registry could not answer
        │   ├── DeniedError                 it refused the credentials we have (or have not)
        │   └── RateLimitedError            it asks to wait longer than we may
        ├── BuilderUnavailableError      no BuildKit answers
        └── MissingDependencyError (ImportError)   an extra is not installed

A message says what failed and why; `hint` says what to type next. The command line prints both and exits with
`exit_code`; 130 means interrupted.
"""

from __future__ import annotations


class ImageBuilderError(Exception):
    """The root of the tree: `message` says what failed and why, `hint` what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class InputError(ImageBuilderError, ValueError):
    """What the user wrote is wrong."""

    exit_code = 2


class SpecError(InputError):
    """A spec that cannot mean anything, raised at the line that writes it."""


class InvalidReferenceError(InputError):
    """An image reference that does not parse."""


class SourceError(InputError):
    """A file of the user's that is missing, unreadable, or of a kind that cannot be part of an image."""


class ConfigError(InputError):
    """A configuration file, environment variable or flag that makes no sense."""


class SecretError(InputError):
    """A secret that has no value, or stands where it would be published."""


class WorkError(ImageBuilderError):
    """The work was understood and failed."""


class BuildError(WorkError):
    """A build step failed; the message names the layer of the spec, the command and its last lines."""


class SourceChangedError(WorkError):
    """A file changed between hashing and building, so the tag would lie about it."""


class LockError(WorkError):
    """A lock is missing, or does not fit its spec any more; or this machine cannot make what it pins."""


class PushError(WorkError):
    """The registry refused what was pushed."""


class VerificationError(WorkError):
    """What is in the registry is not what was asked for."""


class UnknownError(ImageBuilderError):
    """Could not find out; neither yes nor no."""

    exit_code = 3


class RegistryError(UnknownError):
    """A registry that could not be reached or gave an answer that proves nothing.

    `status` is the HTTP status where there was an answer, `codes` the registry's own error codes
    (OCI distribution-spec, "Error Codes").
    """

    def __init__(
        self, message: str, *, hint: str | None = None, status: int | None = None, codes: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.codes = codes


class DeniedError(RegistryError):
    """The registry refused the credentials we have, or asks for some that we have not."""


class RateLimitedError(RegistryError):
    """The registry asks to wait longer than an operation may take."""


class BuilderUnavailableError(UnknownError):
    """No BuildKit answers, or a tool that drives it is missing."""


class MissingDependencyError(UnknownError, ImportError):
    """A part of this project needs an extra that is not installed."""
