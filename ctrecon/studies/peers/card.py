"""Model cards of peers."""

from __future__ import annotations

from typing import Any

from ctrecon.studies.peers.peer import PeerNetwork
from ctrecon.training.card import score_lines, training_lines

_SAYS = {
    "learned-primal-dual": "Learned primal-dual (Adler and Oektem 2018)",
    "fbp-unet": "A U-Net on filtered back projections (Jin et al. 2017)",
}


def peer_card(name: str, network: PeerNetwork, card: dict[str, Any]) -> str:
    """The card as Markdown.

    Args:
        name: Of the weights.
        network: The peer.
        card: As its file holds it.

    Returns:
        What it is, what it was trained on, its scores, and that its images are not certified.
    """
    parameters = sum(p.numel() for p in network.parameters())
    lines = [
        f"# {name}",
        "",
        f"{_SAYS[network.kind]}, {parameters / 1e6:.2f} M parameters: a method of others to compare with. From a scan "
        "to an image in one pass.",
        "",
        "## Training",
        *(f"- {item}" for item in card["data"]),
        *training_lines(card),
        f"- final training loss {card['loss']} dB (error of the image, relative to it)",
        "",
        *(score_lines(card) if card["scores"] else ()),
        "## Limits",
        "Research only, not for diagnosis. Nothing makes its images explain the data: `ctrecon benchmark --peer` says",
        "how far they are from that. It sees no weights of the data.",
        "",
    ]
    return "\n".join(lines)
