"""Network weights as files: safetensors with a header that says what they are. Nothing in them is ever executed."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ctrecon.errors import WeightsError
from ctrecon.networks.dncnn import DnCNN, DnCNNShape
from ctrecon.networks.unet import UNet, UNetShape

FORMAT = "ctrecon-network/1"
INPUTS = 4
MOST_BYTES = 1 << 30
_MOST_CHANNELS, _MOST_LAYERS = 4096, 200

Network = UNet | DnCNN


def save_network(path: Path, network: Network, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write weights (for instance an averaged copy) with their architecture and model card."""
    kind = "unet" if isinstance(network, UNet) else "dncnn"
    header = {"format": FORMAT, "architecture": kind, "shape": asdict(network.shape), "card": card}
    partial = path.with_name(path.name + ".partial")
    save_file(
        {name: value.detach().float().contiguous() for name, value in weights.items()},
        partial,
        metadata={"ctrecon": json.dumps(header, sort_keys=True)},
    )
    partial.replace(path)


def load_network(name_or_path: str | Path) -> tuple[Network, dict[str, Any]]:
    """A shipped network by name (``ct-default``) or any file of ``save_network``: the network and its model card.

    Raises WeightsError for a file that is not what it says, naming file and remedy.
    """
    path = _find(str(name_or_path))
    if path.stat().st_size > MOST_BYTES:
        raise WeightsError(f"{path.name} has {path.stat().st_size} bytes, more than the {MOST_BYTES} of any network")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("ctrecon", "null"))
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
            network = _build(header, path.name, sum(math.prod(shape) for shape in shapes.values()))
            _check_shapes(network, shapes, path.name)
            weights = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, json.JSONDecodeError, OSError, RecursionError) as error:
        raise WeightsError(f"{path.name} is no safetensors file that can be read: {error}") from None
    for key, value in weights.items():
        if not value.is_floating_point():
            raise WeightsError(f"{path.name}: {key} holds {value.dtype}, no floating point numbers")
        if not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{path.name}: {key} holds values that are not finite")
    network.load_state_dict(weights)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False), header.get("card", {})


def _check_shapes(network: Network, found: dict[str, tuple[int, ...]], name: str) -> None:
    """Before anything is allocated: the file holds what its architecture needs, and nothing else."""
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    for key in sorted(expected.keys() ^ found.keys()):
        raise WeightsError(f"{name} does not fit its architecture at {key!r}; train it anew")
    for key, shape in found.items():
        if shape != expected[key]:
            raise WeightsError(f"{name}: {key} is {list(shape)}, its architecture has another shape")


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    shipped = resources.files("ctrecon.networks") / "weights"
    known = sorted(p.name.removesuffix(".safetensors") for p in shipped.iterdir() if p.name.endswith(".safetensors"))
    # Compared with the list, never joined into a path: a name is not a path.
    if name in known:
        return Path(str(shipped / f"{name}.safetensors"))
    raise WeightsError(f"no network {name!r}: give a file, or one of {', '.join(known)}")


def _build(header: Any, name: str, stored: int) -> Network:
    """The network the header describes, unless it is larger than the ``stored`` numbers of its file."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise WeightsError(f"{name} does not say that it is a {FORMAT} file; give one that ctrecon wrote")
    values = header.get("shape")
    shape_type: type[UNetShape] | type[DnCNNShape]
    if header.get("architecture") == "unet":
        shape_type = UNetShape
    elif header.get("architecture") == "dncnn":
        shape_type = DnCNNShape
    else:
        raise WeightsError(f"{name} has an unknown architecture {header.get('architecture')!r}; known: unet, dncnn")
    if not isinstance(values, dict) or set(values) != {f.name for f in fields(shape_type)}:
        raise WeightsError(f"{name} does not describe the shape of its network")
    for key, value in values.items():
        triple = key in ("widths", "blocks")
        numbers = value if triple and isinstance(value, list) and len(value) == 3 else [value]
        limit = _MOST_LAYERS if key in ("blocks", "depth") else _MOST_CHANNELS
        whole = all(type(n) is int and 1 <= n <= limit for n in numbers) and (len(numbers) == 3) is triple
        if not (type(value) is bool if key == "bias" else whole):
            raise WeightsError(f"{name}: {key} is {str(value)[:40]!r}, which no network here has")
    if values["inputs"] != INPUTS:
        raise WeightsError(f"{name} takes {values['inputs']} inputs, this version gives {INPUTS}; train it anew")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    if shape_type is UNetShape:
        (w0, w1, w2), (n0, n1, n2) = values["widths"], values["blocks"]
        least = 18 * (2 * n0 * w0**2 + 2 * n1 * w1**2 + n2 * w2**2)
    else:
        least = 9 * values["width"] ** 2 * (values["depth"] - 2)
    # Before it is built, and its memory taken.
    if least > stored:
        raise WeightsError(f"{name} does not fit its architecture: it holds {stored} numbers, {least} are needed")
    return UNet(UNetShape(**values)) if shape_type is UNetShape else DnCNN(DnCNNShape(**values))
