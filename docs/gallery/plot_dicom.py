"""
DICOM out, and in again
=======================

A reconstruction becomes a CT series in Hounsfield units, with a structured report and its certificate. Any reader of
DICOM gets the pixels that were certified, bit for bit, and whoever has the folder can check it.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from pydicom import dcmread

import ctrecon as ct

simulated = ct.simulate("chest", size=96, views=80, noise=0.01, seed=14)
result = ct.reconstruct(simulated.scan, delta=1.05 * simulated.delta)
folder = Path(tempfile.mkdtemp()) / "series"
written = result.to_dicom(folder, patient_id="PHANTOM", patient_position="none")
for path in sorted(folder.rglob("*.dcm")):
    print(f"{path.relative_to(folder)!s:>20}: {dcmread(path, stop_before_pixels=True).SeriesDescription}")

verdict = ct.verify(folder)
print(verdict)
assert verdict.valid

# %%
# Read with pydicom, as any viewer would:

image = next(ds for ds in map(dcmread, sorted(folder.rglob("*.dcm"))) if ds.Modality == "CT" and "PixelData" in ds)
hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
print(f"{image.Rows} x {image.Columns} pixels of {image.PixelSpacing[0]:.3f} mm, {hu.min():.0f} to {hu.max():.0f} HU")

fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.8), layout="constrained")
for ax, (title, low, high) in zip(axes, (("soft tissue", -160, 240), ("lung", -1350, 150)), strict=True):
    drawn = ax.imshow(hu, cmap="gray", vmin=low, vmax=high)
    ax.set(title=title, xticks=[], yticks=[])
    fig.colorbar(drawn, ax=ax, label="HU", shrink=0.8)
plt.show()
