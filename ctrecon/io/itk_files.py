"""What is looked at before ITK reads a file, and how it is kept quiet; apart from its readers, which load SimpleITK."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.io.meta_image import check_meta_image
from ctrecon.io.volume_names import volume_suffix
from ctrecon.support.plain_file import plain_size

_MOST_HEADER_BYTES, _MOST_LINE_BYTES = 1 << 16, 500


def check_own_data(path: Path) -> None:
    """Whether ITK may read it.

    Raises InputError where a header names another file for its values (no path is ever taken from a file), does not end
    where it could be looked at, has sizes that are none (``meta_image.py``), or a line so long that ITK's reader of
    NRRD, which quotes it in a message of its own, would end the process.
    """
    plain_size(path)
    with path.open("rb") as stream:
        start = stream.read(_MOST_HEADER_BYTES)
    if volume_suffix(path) == ".mha":
        lines = [line.split(b"=", 1) for line in re.split(rb"[\r\n]+", start) if b"=" in line]
        places = [value.strip() for key, value in lines if key.strip().lower() == b"elementdatafile"]
        if places[:1] not in ([b"LOCAL"], []):
            raise InputError(f"{path}: its values are in another file (ElementDataFile); write both as one file")
        check_meta_image(path, start)
    if volume_suffix(path) == ".nrrd":
        header, *values = re.split(rb"\r?\n\r?\n", start, maxsplit=1)
        if not values and len(start) == _MOST_HEADER_BYTES:
            raise InputError(f"{path}: its header does not end within {_MOST_HEADER_BYTES} bytes; write it anew")
        fields = header.lower().splitlines()
        longest = max((len(line) for line in fields if not line.startswith(b"#") and b":=" not in line), default=0)
        if longest > _MOST_LINE_BYTES:
            raise InputError(f"{path}: a line of its header has {longest} bytes; is it damaged? Write it anew")
        if any(line.replace(b" ", b"").startswith(b"datafile:") for line in fields):
            raise InputError(f"{path}: its values are in another file (data file); write both as one file")


@contextmanager
def silent() -> Iterator[None]:
    """ITK's readers write lines of their own to the process's error stream, whatever they raise."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
