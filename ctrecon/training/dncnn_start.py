"""The paper's start of super-resolution: a network of DnCNN's form, with the weights of the blind denoiser DnCNN-B."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from ctrecon.errors import InputError
from ctrecon.networks.dncnn import DnCNN, DnCNNShape

_DEPTH, _INPUTS = 20, 3


def dncnn_b(path: Path) -> DnCNN:
    """DnCNN-B as its authors published it (MATLAB 7.3), for three inputs of which it sees the last: the data.

    DnCNN-B tells the noise, which is to be subtracted; ours adds. Raises InputError for another file.
    """
    network = DnCNN(DnCNNShape(inputs=_INPUTS, depth=_DEPTH))
    try:
        with h5py.File(path, "r") as file:
            layers = file["net/layers"][()].ravel()
            pairs = [file[layer]["weights"] for layer in layers if "weights" in file[layer]]
            stored = [[np.asarray(file[part][()], dtype=np.float32) for part in np.ravel(pair[()])] for pair in pairs]
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as why:
        raise InputError(f"{path.name} is not the MATLAB 7.3 file of DnCNN-B: {why}") from None
    convolutions = [parts for parts in stored if len(parts) == 2]
    if len(convolutions) != _DEPTH:
        raise InputError(f"{path.name} has {len(convolutions)} convolutions, DnCNN-B has {_DEPTH}")
    ours: list[Any] = list(network.layers)
    for index, (layer, (kernel, bias)) in enumerate(zip(ours, convolutions, strict=True)):
        # MATLAB stores [row, column, in, out] with the first axis fastest; h5py shows the axes in reverse.
        weight = np.ascontiguousarray(np.swapaxes(kernel.reshape(layer.out_channels, -1, 3, 3), 2, 3))
        sign = -1.0 if index == _DEPTH - 1 else 1.0
        with torch.no_grad():
            layer.weight.zero_()
            layer.weight[:, -weight.shape[1] :] = sign * torch.from_numpy(weight)
            layer.bias.copy_(sign * torch.from_numpy(np.ascontiguousarray(bias.ravel())))
    return network
