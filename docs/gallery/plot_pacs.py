"""
To a PACS over the network
==========================

A series goes to any DICOM node by C-STORE; nothing is transcoded on the way. Here the node is a few lines of pynetdicom
on this machine, which keep what they get. What arrived is still certified.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from pydicom import dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt

import ctrecon as ct
from ctrecon.dicom.network.associate import echo
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.objects import headers_of
from ctrecon.dicom.network.store import send, summary

folder = Path(tempfile.mkdtemp())
archive = folder / "archive"
archive.mkdir()


def keep(event):
    """Write what arrives as it is."""
    (archive / f"{event.request.AffectedSOPInstanceUID}.dcm").write_bytes(event.encoded_dataset())
    return 0x0000  # success


pacs = AE(ae_title="PRACTICE")
pacs.supported_contexts = AllStoragePresentationContexts
pacs.add_supported_context("1.2.840.10008.1.1")  # C-ECHO
server = pacs.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])

# %%
# A reconstruction, written as a series and sent. In a terminal: ``ctrecon dicom send series/ --to TITLE@HOST:PORT``.

simulated = ct.simulate("head", size=64, views=60, noise=0.01, seed=15)
result = ct.reconstruct(simulated.scan, delta=1.05 * simulated.delta)
result.to_dicom(folder / "series", patient_id="PHANTOM", patient_position="none")

node = Node(title="PRACTICE", host="127.0.0.1", port=server.server_address[1])
echo(node, Connection())
sent = send(node, Connection(), headers_of([folder / "series"]))
print(summary(sent))
server.shutdown()
assert sent.complete
verdict = ct.verify(archive)
print(verdict)
assert verdict.valid

# %%
# What the archive holds:

files = [dcmread(path) for path in sorted(archive.iterdir())]
image = next(ds for ds in files if ds.SOPClassUID.name == "CT Image Storage")
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.6), layout="constrained")
hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
drawn = axes[0].imshow(hu, cmap="gray", vmin=-200, vmax=400)
axes[0].set(title="the image, as it arrived", xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[0], label="HU", shrink=0.8)
axes[1].axis("off")
lines = "\n".join(sorted(f"{ds.Modality:>3}  {ds.SOPClassUID.name}" for ds in files))
axes[1].text(0, 0.95, "objects in the archive\n\n" + lines, va="top", family="monospace", fontsize=9)
plt.show()
