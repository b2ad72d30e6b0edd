"""The model card of a network for super-resolution."""

from __future__ import annotations

from typing import Any

from torch import nn


def model_card(name: str, network: nn.Module, card: dict[str, Any]) -> str:
    """The card as Markdown; ``card`` is what the weights file stores."""
    parameters = sum(p.numel() for p in network.parameters())
    error, unit = "mean absolute error", "grey levels of 255"
    if card.get("decibels"):
        error, unit = "mean square error of a patch", "dB"
    taught = "for one pass from zero (the baseline)" if card["one_pass"] else "on the descent path"
    lines = [
        f"# {name}",
        "",
        f"A direction for energy-dissipating super-resolution by {card['scale']} x {card['scale']} average pooling: "
        f"{type(network).__name__}, {parameters / 1e6:.2f} M parameters, shown u, the scaled gradient and the data.",
        "",
        "## Training",
        *(f"- {item}" for item in card["data"]),
        f"- {taught}; {error} in {unit}, patches mirrored, turned, reduced and of changed contrast",
        f"- seed {card['seed']}, {card['steps']} steps of batch {card['batch']}, {card['hours']} hours, {card['date']}",
        f"- `{card['command']}`",
        f"- final training loss {card['loss']} ({error} of one network step, in {unit})",
        "",
        "## Scores",
        "`ctrecon reproduce table1 --data FOLDER` computes them on your own folders of images.",
        "",
        "## Limits",
        "What pooling loses is invented after the training photographs: plausible, not known. The certificate says",
        "that the enlarged image, pooled again, is the given one, and nothing about what is finer. Not for evidence,",
        "and not for diagnosis. Trained on luminance from 0 to 1; images whose small version was not made by averaging",
        "(sharpened, resized by another filter, compressed) come out less well.",
        "",
    ]
    return "\n".join(lines)
