"""A volume on disk gives single slices by number, in any order, the same as it gives them in a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctrecon.errors import InputError
from ctrecon.outputs.stack.formats import SUFFIXES, load_format
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.outputs.stack.volume_file import shown

VALUES = np.random.default_rng(0).uniform(0, 0.04, (5, 6, 7)).astype(np.float32)


def written(folder: Path, suffix: str) -> tuple[Path, Manifest]:
    path = folder / f"v{suffix}"
    form = load_format(suffix)
    manifest = Manifest(
        shape=(5, 6, 7), first_mm=(0.0, 0.0, 0.0), step_mm=(1.0, 1.0, 1.0), length_unit="mm", values=form.values,
        volume=path.name, slices=({"z_mm": 0.0, "status": "certified"},) * 5, settings={}, source="", range=(0.0, 0.04),
        water_mu_per_mm=0.02,
    )  # fmt: skip
    form.write(path, manifest, (shown(manifest, one, form.values) for one in VALUES))
    return path, manifest


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_slices_come_by_number_in_any_order(tmp_path: Path, suffix: str) -> None:
    path, manifest = written(tmp_path, suffix)
    form = load_format(suffix)
    with form.opened(path, manifest) as slice_of:
        for k in (3, 0, 4, 4, 1):
            np.testing.assert_array_equal(slice_of(k), shown(manifest, VALUES[k], form.values))
    np.testing.assert_array_equal(np.stack(list(form.read(path, manifest))), [
        shown(manifest, one, form.values) for one in VALUES
    ])  # fmt: skip


@pytest.mark.parametrize("suffix", [".zarr", ".nii.gz", ".tif", ".h5"])
def test_another_shape_than_the_manifests_is_refused_before_a_slice_is_read(tmp_path: Path, suffix: str) -> None:
    path, manifest = written(tmp_path, suffix)
    other = Manifest(**{**vars(manifest), "shape": (5, 6, 1 << 13)})
    with pytest.raises(InputError), load_format(suffix).opened(path, other) as slice_of:
        slice_of(0)
