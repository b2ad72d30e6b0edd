"""ITK says nothing of a disk that is full: what it wrote is looked at before it gets its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from full_disk import files_end_at

from ctrecon.errors import OutputError
from ctrecon.io.nifti import write_stored_volume
from ctrecon.io.pictures import put_picture, read_picture
from ctrecon.io.volume_names import VOLUME_SUFFIXES
from ctrecon.support.atomic import atomic_write

ZEROS = np.zeros((3, 40, 40), dtype=np.float32)  # packed, they need a few bytes: what was cut would fit


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_a_volume_that_lacks_a_few_bytes_is_refused(suffix: str, tmp_path: Path) -> None:
    plain, path = tmp_path / f"a{suffix.removesuffix('.gz')}", tmp_path / f"b{suffix}"
    write_stored_volume(plain, ZEROS, np.eye(4))
    whole = plain.stat().st_size
    assert whole >= ZEROS.nbytes
    for size in (whole - 1, whole - 100, ZEROS.nbytes, ZEROS.nbytes // 2, 400, 80, 3):
        with files_end_at(size), pytest.raises(OutputError, match="is the disk full"):
            write_stored_volume(path, ZEROS, np.eye(4))
        assert [one.name for one in tmp_path.iterdir()] == [plain.name]
    with files_end_at(whole):
        write_stored_volume(path, ZEROS, np.eye(4))
    assert path.exists()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_picture_that_lacks_a_few_bytes_is_refused(suffix: str, tmp_path: Path) -> None:
    from PIL import Image

    levels = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.float64)
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "given.png")
    like = read_picture(tmp_path / "given.png")

    def put(path: Path) -> int:
        with atomic_write(path) as place:
            put_picture(place, levels, like, 1)
        return path.stat().st_size

    whole = put(tmp_path / f"a{suffix}")
    for size in (whole - 1, whole - 20, whole // 2, 20):
        with files_end_at(size), pytest.raises(OutputError):
            put(tmp_path / f"b{suffix}")
        assert not (tmp_path / f"b{suffix}").exists()
    with files_end_at(whole):
        put(tmp_path / f"b{suffix}")
