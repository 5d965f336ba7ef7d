"""A file of the configuration that is read again once it has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
EVERY = 10.0  # s between two looks at the file
LARGEST = 1 << 20  # bytes; what is longer is no key


class CredentialError(Exception):
    """A key, certificate or account cannot be used; the text is a sentence with the option and the remedy."""


class Watched(Generic[T]):
    """What `parse` makes of a file. A file that went bad does not replace what was good before."""

    def __init__(
        self,
        path: str,
        option: str,
        parse: Callable[[bytes], T],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`option` as an operator writes it: `[fcm."123"] service_account`. `parse` raises CredentialError
        with the second half of a sentence: "is not a PEM file"."""
        self.path = path
        self.option = option
        self.problem = ""  # what is wrong with the file now; "" if nothing
        self.version = 0  # counts the contents seen
        self._parse = parse
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self._value: T | None = None

    def read(self) -> T:
        """The last good content. Raises CredentialError if there never was one."""
        if self._clock() - self._looked >= EVERY:
            self.look()
        if self._value is None:
            raise CredentialError(self.problem)
        return self._value

    def look(self) -> None:
        """Reads the file if it is another one than before."""
        self._looked = self._clock()
        try:
            stat = Path(self.path).stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen == self._seen:
                return
            if stat.st_size > LARGEST:
                raise CredentialError("is larger than 1 MB: that is no key")
            value = self._parse(Path(self.path).read_bytes())
        except OSError as error:
            self._fail(f"cannot be read ({error.strerror}): check the path and the permissions")
        except CredentialError as error:
            self._fail(str(error))
        else:
            self._seen, self._value, self.problem = seen, value, ""
            self.version += 1

    def _fail(self, text: str) -> None:
        self._seen = None  # to be read again next time: permissions do not show in the time of change
        self.problem = f"{self.option}: {self.path} {text}"
