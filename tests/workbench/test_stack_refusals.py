"""What cannot be written as a stack is refused in one line, and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from stacks import geometry, line_integrals, npy_stack

from ctrecon.cli.main import cli


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("reconstruct one.npy -o v.zarr", "has a single slice"),
        ("reconstruct scan.npy -o v.zarr --row 2", "drop --geometry, --row"),
        ("reconstruct scan.npy -o v.zarr --patient-id 7", "--patient-id belongs to a DICOM series"),
        ("reconstruct scan.npy -o v.zarr --spacing 0", "the spacing of slices must be > 0"),
        ("reconstruct scan.npy -o full.zarr", "full.zarr is there already"),
        ("reconstruct scan.npy -o full.zarr --overwrite", "holds other things than a stack"),
        ("reconstruct scan.npy -o none/v.zarr", "no folder that you may write to"),
        ("reconstruct scan.npy -o v.zarr --report r.txt", "must end in .html"),
        ("reconstruct scan.npy -o v.nii.gz --all-slices --geometry parallel-180", "needs mm"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    npy_stack(tmp_path)
    np.save("one.npy", line_integrals()[:, 0])
    Path("one.json").write_text(json.dumps(geometry()))
    Path("full.zarr").mkdir()
    Path("full.zarr/notes.txt").touch()
    before = sorted(path.name for path in tmp_path.iterdir())
    done = CliRunner().invoke(cli, words.split(), catch_exceptions=False)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
