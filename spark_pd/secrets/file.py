"""`file:path`: a small text file that holds the secret and nothing else, such as a mounted Kubernetes or Docker secret."""

from __future__ import annotations

from pathlib import Path

from spark_pd.model import SecretContext
from spark_pd.model.errors import SecretError

LIMIT = 64 * 1024  # bytes; far above any secret, far below what would hurt


def provide(path: str, *, context: SecretContext) -> str:
    """The text of the file at `path`; `~` is the home directory, a relative path starts at the working directory.

    Raises SecretError where there is no such file, it is no regular file, cannot be read, is above 64 KiB, or is not UTF-8.
    """
    content = _read(path)
    if len(content) > LIMIT:
        raise SecretError(f"the file {path!r} has more than {LIMIT} bytes; it should hold the secret and nothing else")
    text = _decoded(content)
    if text is None:
        raise SecretError(f"the file {path!r} is not UTF-8 text; it should hold the secret as plain text")
    return text


def _read(path: str) -> bytes:
    try:
        file = Path(path).expanduser()
        # A pipe or a device could hang the job or never end.
        if not file.is_file():
            kind = "is a directory" if file.is_dir() else "is not a regular file" if file.exists() else "does not exist"
            raise SecretError(f"the file {str(file.absolute())!r} {kind}; give the path of a text file that the driver can read")
        with file.open("rb") as opened:
            return opened.read(LIMIT + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SecretError(f"the file {path!r} cannot be read ({reason}); let the job's user read it") from None
    except RuntimeError:
        raise SecretError(f"the file {path!r} begins with a home directory that does not exist here; give an absolute path") from None


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # it holds the content, so it ends here
        return None
