"""Network weights as files: safetensors with a header that says what they are. Nothing in them is ever executed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ctrecon.errors import SettingError, WeightsError
from ctrecon.networks.dncnn import DnCNN
from ctrecon.networks.stored import StoredNetwork
from ctrecon.networks.unet import UNet
from ctrecon.support.atomic import atomic_write
from ctrecon.support.json_text import parse_json

FORMAT = "ctrecon-network/1"
MOST_BYTES = 1 << 30

# The architectures that ``NetworkDirection`` can ask, and the images it shows them.
CT_NETWORKS: tuple[type[UNet] | type[DnCNN], ...] = (UNet, DnCNN)
CT_INPUTS = 5

N = TypeVar("N", bound=StoredNetwork)


def save_network(
    path: Path, network: StoredNetwork, weights: dict[str, Tensor], card: dict[str, Any],
    *, dtype: torch.dtype = torch.float32,
) -> None:
    """Write a network's weights with its architecture and model card, whole or not at all.

    Args:
        path: Of the file, ``.safetensors``.
        network: Says the architecture.
        weights: By name, for instance an averaged copy.
        card: The model card.
        dtype: In float16 a file takes half the space; ``load_network`` gives float32 again.

    Raises:
        OutputError: Where it cannot be written.
    """
    with atomic_write(path) as partial:
        put_network(partial, network, weights, card, dtype=dtype)


def put_network(
    place: Path, network: StoredNetwork, weights: dict[str, Tensor], card: dict[str, Any],
    *, dtype: torch.dtype = torch.float32,
) -> None:
    """The same into the temporary file ``place``, for who writes more together with it."""
    header = {"format": FORMAT, "architecture": network.kind, "shape": asdict(network.shape), "card": card}
    save_file(
        {name: value.detach().to(dtype).contiguous() for name, value in weights.items()},
        place,
        metadata={"ctrecon": json.dumps(header, sort_keys=True)},
    )


def usual_ct_weights(*, in_space: bool) -> str:
    """The shipped weights that serve where none are named: the only place that chooses them.

    Args:
        in_space: Whether one volume is made of the data, as of a cone beam, rather than images slice by slice.

    Returns:
        ``ct-volume``, which sees neighbouring slices, or ``ct-default``.
    """
    return "ct-volume" if in_space else "ct-default"


def load_ct_network(name_or_path: str | Path) -> tuple[UNet | DnCNN, dict[str, Any]]:
    """A network for CT: one that takes the images that ``NetworkDirection`` shows.

    Args:
        name_or_path: The name of shipped weights (``ct-default``), or a file of ``save_network``.

    Returns:
        The network, ready to use, and its model card.

    Raises:
        WeightsError: As ``load_network``, and for another number of inputs.
    """
    network, card = load_network(name_or_path, CT_NETWORKS)
    if network.shape.inputs != CT_INPUTS:
        name, inputs = Path(name_or_path).name, network.shape.inputs
        raise WeightsError(f"{name} takes {inputs} inputs, this version gives {CT_INPUTS}; train it anew")
    return network, card


def load_network(name_or_path: str | Path, kinds: Sequence[type[N]]) -> tuple[N, dict[str, Any]]:
    """A network from its file; nothing of it is executed, and no more than it says is allocated.

    Args:
        name_or_path: The name of shipped weights, or any file of ``save_network``.
        kinds: The architectures that are accepted.

    Returns:
        The network, float32, in evaluation mode and without gradients, and its model card.

    Raises:
        WeightsError: For a file that is missing, too large or not what it says; it names file and remedy.
    """
    path = _find(str(name_or_path))
    if path.stat().st_size > MOST_BYTES:
        raise WeightsError(f"{path.name} has {path.stat().st_size} bytes, more than the {MOST_BYTES} of any network")
    try:
        with safe_open(path, framework="pt") as file:
            header = parse_json((file.metadata() or {}).get("ctrecon", "null"))
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
            # A new network draws its weights: not from the random numbers of whoever calls this.
            with torch.random.fork_rng(devices=()):
                network = _build(header, kinds, path.name, sum(math.prod(shape) for shape in shapes.values()))
            _check_shapes(network, shapes, path.name)
            weights = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, ValueError, OSError) as error:
        raise WeightsError(f"{path.name} is no safetensors file that can be read: {error}") from None
    for key, value in weights.items():
        if not value.is_floating_point():
            raise WeightsError(f"{path.name}: {key} holds {value.dtype}, no floating point numbers")
        if not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{path.name}: {key} holds values that are not finite")
    network.load_state_dict(weights)
    # In float32 whatever torch's default dtype is, for that is what images are in.
    network.float().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False), header.get("card", {})


def _check_shapes(network: StoredNetwork, found: dict[str, tuple[int, ...]], name: str) -> None:
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


def _build(header: Any, kinds: Sequence[type[N]], name: str, stored: int) -> N:
    """The network the header describes, unless it is larger than the ``stored`` numbers of its file."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise WeightsError(f"{name} does not say that it is a {FORMAT} file; give one that ctrecon wrote")
    architectures = {kind.kind: kind for kind in kinds}
    architecture, values = header.get("architecture"), header.get("shape")
    if not isinstance(architecture, str) or architecture not in architectures:
        known = ", ".join(architectures)
        raise WeightsError(f"{name} has the architecture {str(architecture)[:40]!r}; what can be used here: {known}")
    chosen = architectures[architecture]
    # What a file of an earlier version does not name has its default.
    if not isinstance(values, dict) or not values or not set(values) <= {f.name for f in fields(chosen.Shape)}:
        raise WeightsError(f"{name} does not describe the shape of its network")
    try:
        shape = chosen.Shape(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
    except SettingError as why:
        raise WeightsError(f"{name}: {why}") from None
    # Before it is built, and its memory taken.
    if shape.least_numbers > stored:
        needed = shape.least_numbers
        raise WeightsError(f"{name} does not fit its architecture: it holds {stored} numbers, {needed} are needed")
    return chosen(shape)
