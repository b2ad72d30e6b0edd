"""A small network that was never trained, one that answers nonsense, pictures, and what pooling is."""

import numpy as np
import torch

from ctrecon.applications.superresolution.network import LowResNet, LowResNetShape


def small_network(scale=4, seed=0):
    """Never trained, and with an answer that is far from any data."""
    torch.manual_seed(seed)
    network = LowResNet(LowResNetShape(scale=scale, width=8, blocks=1))
    torch.nn.init.normal_(network.leave.weight, std=0.05)
    return network.eval().requires_grad_(False)


class Adversary(torch.nn.Module):
    """Answers with nonsense: huge values, or none at all."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return torch.full_like(x[:, :1], self.value) + 3 * x[:, :1].roll(1, -1)


def pooled(u, scale):
    rows, columns = u.shape[0] // scale, u.shape[1] // scale
    return u.reshape(rows, scale, columns, scale, *u.shape[2:]).mean(axis=(1, 3))


def photograph(rows=40, columns=56, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns] / 24
    image = 0.5 + 0.25 * np.sin(3 * x + y) + 0.2 * (np.hypot(x - 1, y - 0.8) < 0.5) + 0.02 * rng.normal(size=x.shape)
    return np.clip(image, 0, 1).astype(np.float32)
