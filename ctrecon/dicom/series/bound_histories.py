"""How each slice came about, tied to the manifest of its series: a history beside the certificates cannot be changed
unnoticed.

The hash leaves out the seconds that the work took, which differ each time, so that the same scan still gives the same
series, byte for byte. A history need not be there: an archive keeps DICOM files alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ctrecon.certificates.verify import Refused, require
from ctrecon.support.beside import history_sha256

_MOST_BYTES = 1 << 23


def check_histories(listed: Mapping[str, str], paths: Mapping[int, Path]) -> Iterator[tuple[Path, str]]:
    """Compare histories with those that the manifest lists.

    Args:
        listed: Their hashes, by the number of their slice.
        paths: Where that of each slice would be.

    Yields:
        Each that is there and refused, and why.
    """
    for index, path in paths.items():
        if not path.is_file():
            continue
        try:
            require(str(index) in listed, "the manifest lists no such history: it was added")
            require(path.stat().st_size <= _MOST_BYTES, "it is larger than a history can be")
            same = history_sha256(path.read_bytes()) == listed[str(index)]
            require(same, "it is not the history that the manifest lists: it was changed since it was written")
        except (Refused, OSError, ValueError, RecursionError) as why:
            yield path, str(why) if isinstance(why, Refused) else f"it is no history ({type(why).__name__})"
