"""Temporary names that say which process writes under them, so that what a killed one left behind can go.

``kill -9``, and the system where memory is short, end a process without a word. Its name tells a later one on the same
machine that nobody goes on with a file, and in a shared folder those of other machines are left alone.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

_LONGEST = 100  # bytes of the file's own name, so that one of the longest allowed length still gets a temporary one
_NAME = re.compile(
    r"\.(?P<own>.+)\.(?P<machine>[0-9a-f]{8})-(?P<process>[1-9][0-9]{0,8})-[0-9a-f]{8}\.(?P<kind>part|old|swap)(\.[^.]*)?",
    re.DOTALL,
)


def part_of(path: Path) -> Path:
    """A hidden name beside ``path`` to write under, with the same suffix."""
    return path.with_name(f".{_cut(path.stem, _LONGEST)}.{_mark()}.part{_cut(path.suffix, 20)}")


def aside_of(path: Path) -> Path:
    """A hidden name beside ``path`` for what stood there, while something new takes its place."""
    return path.with_name(f".{_cut(path.name, _LONGEST)}.{_mark()}.old")


def plan_of(path: Path) -> Path:
    """A hidden name beside ``path`` for the list of names that change together."""
    return path.with_name(f".{_cut(path.name, _LONGEST)}.{_mark()}.swap")


def left_behind(name: str) -> re.Match[str] | None:
    """Whether a name is a temporary one of a process of this machine that lives no more.

    Args:
        name: Of an entry of a folder.

    Returns:
        Its parts ``own`` and ``kind`` (``part``, ``old`` or ``swap``); None for all others.
    """
    found = _NAME.fullmatch(name)
    if found is None or found["machine"] != _machine() or _lives(int(found["process"])):
        return None
    return found


def _mark() -> str:
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


@cache
def _machine() -> str:
    """This start of this machine, and among whose processes numbers are counted: containers count their own."""
    said = [platform.node()]
    with suppress(OSError):  # no Linux
        said.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        said.append(str(Path("/proc/self/ns/pid").readlink()))
    return sha256("\n".join(said).encode()).hexdigest()[:8]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _cut(text: str, most: int) -> str:
    """No more bytes than that, and no half letter."""
    return os.fsencode(text)[:most].decode("utf-8", "ignore")
