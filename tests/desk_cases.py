"""A folder as people have them: a scan, images of it, a volume, pictures, a report, and files that are broken."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from report_cases import HOSTILE
from stacks import npy_stack

import ctrecon as ct

_CLAIM = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 99999999), }"
HUGE = b"\x93NUMPY\x01\x00v\x00" + _CLAIM.ljust(117)
NASTY = "<img src=x onerror=window.pwned=1>&'.npy"
SIZE = 32


def make_folder(folder: Path) -> None:
    """See above; ``more/`` holds the second image, ``scans/`` the scan and the stack."""
    more, scans = folder / "more", folder / "scans"
    for one in (folder, more, scans):
        one.mkdir()
    scan = ct.simulate("head", size=SIZE, views=30, noise=0.02).scan
    scan = replace(scan, patient_position="FFS", notes=(*scan.notes, HOSTILE))
    for place, method in ((folder / "head.npy", "cgls"), (more / "tv.npy", "fbp")):
        ct.reconstruct(scan, method=method, delta="6%").save(place, preview=False)
    stack = npy_stack(scans, "stack", rows=4)
    ct.reconstruct_stack(stack, folder / "v.zarr", ct.Settings(method="cgls", delta="12%"), preview=False)
    np.save(folder / "bare.npy", np.load(folder / "head.npy") + np.float32(0.001))
    Image.fromarray((np.arange(300).reshape(10, 10, 3) % 256).astype(np.uint8)).save(folder / "photo.png")
    (folder / "broken.npy").write_bytes(b"\x93NUMPY and no more")
    (folder / "huge.npy").write_bytes(HUGE + b"\n" + bytes(64))
    np.save(folder / "nan.npy", np.full((SIZE, SIZE), np.nan, "<f4"))
    (folder / "bad.npz").write_bytes(b"PK and no more")
    (folder / "stranger.html").write_text("<script>document.title='x'</script>")
    (folder / NASTY).write_bytes((folder / "bare.npy").read_bytes())
    (folder / "notes.txt").write_text(HOSTILE)
    (folder.parent / "secret.npy").write_bytes((folder / "bare.npy").read_bytes())
    (folder / "link.npy").symlink_to(folder.parent / "secret.npy")
    os.mkfifo(folder / "pipe.npy")
