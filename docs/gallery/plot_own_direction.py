"""
A direction of one's own
========================

The descent takes any direction and bends it into one along which the energy must fall. So a good idea makes it fast,
and a bad one, here random numbers on top of walking uphill, costs iterations and not the proof.
"""

import matplotlib.pyplot as plt
import torch

import ctrecon as ct

simulated = ct.simulate("head", size=64, views=60, noise=0.02, seed=3)
delta = simulated.delta


def uphill(point):
    """The wrong way, and noise."""
    return 100 * point.gradient + torch.randn_like(point.u)


def smoothed(point):
    """Down the gradient, averaged over neighbours."""
    return torch.nn.functional.avg_pool2d(-point.gradient, 3, stride=1, padding=1)


torch.manual_seed(0)
ideas = {"the network": None, "smoothed gradient": smoothed, "uphill and noise": uphill}
results = {name: ct.reconstruct(simulated.scan, delta=delta, direction=idea) for name, idea in ideas.items()}
for name, result in results.items():
    print(f"{name}: certified {result.certified}, residual {result.residual:.4g} <= {delta:.4g}")
    assert result.certified

# %%
# All three explain the data. What they put where the data leave a choice is their own, which is what
# :doc:`/guarantees` and :doc:`/trust` are about.

fig, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for ax, (name, result) in zip(axes, results.items(), strict=True):
    drawn = ax.imshow(result.image, cmap="gray", vmin=0, vmax=simulated.truth.max())
    ax.set(title=name, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="attenuation in 1/mm", shrink=0.8)
plt.show()
