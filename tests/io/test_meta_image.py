"""Numbers in the header of a MetaImage by which ITK would end the process are refused before it reads the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctrecon.errors import InputError
from ctrecon.io.itk_files import check_own_data

HEADER = (
    b"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    b"Offset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 4 3 1\nElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
)
BROKEN = (
    (b"NDims = 3", b"NDims = -1"), (b"NDims = 3", b"NDims = 0"), (b"NDims = 3", b"NDims = 99999999"),
    (b"NDims = 3", b"NDims = 3\nNDims = -1"), (b"NDims = 3\n", b""), (b"4 3 1", b"4 3"), (b"4 3 1", b"4 3 -1"),
    (b"4 3 1", b"4 3 1e9"), (b"4 3 1", b"65536 65536 65536"), (b"4 3 1", b"5 3 1"), (b"1 1 1", b"1 1"),
    (b"1 1 1", b"1 nan 1"), (b"0 0 0 1\n", b"\n"), (b"MET_FLOAT", b"MET_OTHER"), (b"MET_FLOAT", b""),
    (b"Offset", b"ElementNumberOfChannels = 2147483647\nOffset"), (b"Offset", b"HeaderSize = 99999\nOffset"),
    (b"Offset", b"Off\0set"), (b"LOCAL\n", b"LOCAL"), (b"Offset", b"x" * 501), (b"BinaryData = ", b"BinaryData : "),
)  # fmt: skip


@pytest.mark.parametrize(("before", "after"), BROKEN)
def test_a_header_that_is_none_is_one_line(before: bytes, after: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    values = np.zeros(12, "<f4").tobytes()
    path.write_bytes(HEADER + values)
    check_own_data(path)
    assert before in HEADER
    path.write_bytes(HEADER.replace(before, after, 1) + (values if after != b"LOCAL" else b""))
    with pytest.raises(InputError) as refused:
        check_own_data(path)
    assert "\n" not in str(refused.value)
