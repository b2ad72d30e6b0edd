"""
A report that its reader can check
==================================

``result.report`` writes one page about an image: what is proved of it and what is not, in words; the image, with
windows and zoom; what it leaves of the measurement; and the commands that check all of this without trusting the page.
"""

import re
import tempfile
from base64 import b64decode
from html import unescape
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import ctrecon as ct

simulated = ct.simulate("chest", size=96, views=72, noise=0.01, seed=2)
result = ct.reconstruct(simulated.scan, delta=1.05 * simulated.delta)
folder = Path(tempfile.mkdtemp())
result.save(folder / "chest.npy")
page = result.report(folder / "chest.html").read_text(encoding="utf-8")

# %%
# It opens in any browser and asks nothing of a network. Its headings, as they stand there:

for heading in re.findall(r"<h[12][^>]*>(.*?)</h[12]>", page, flags=re.DOTALL):
    print(unescape(re.sub(r"<[^>]+>", "", heading)).strip())

# %%
# Where no script may run, in a mail or on paper, the page shows the image as a plain picture: here it is, with two of
# the plots that the page draws. What the image leaves of the measurement should look like noise: an edge or a stripe
# in it is something that the image does not explain.

still = plt.imread(BytesIO(b64decode(re.findall(r'src="data:image/png;base64,([^"]+)"', page)[0])))
A = ct.operator(simulated.scan)
left = A(torch.from_numpy(result.image)[None, None])[0, 0].numpy() - simulated.scan.sinogram
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
axes[0].imshow(still, cmap="gray")
axes[0].set(title="the image on the page", xticks=[], yticks=[])
most = np.abs(left).max()
drawn = axes[1].imshow(left, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
axes[1].set(title="Au - f", xlabel="detector cell", ylabel="view")
fig.colorbar(drawn, ax=axes[1], label="line integral")
axes[2].semilogy([one.residual for one in result.history], "o-", label="||Au - f||")
axes[2].axhline(result.certificate.delta, color="black", linestyle="--", label="delta")
axes[2].set(title="how it got there", xlabel="iteration")
axes[2].legend(frameon=False)
plt.show()
