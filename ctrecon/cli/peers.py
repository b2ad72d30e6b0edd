"""The option ``--peer``: methods of others, beside those of a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctrecon.studies.peers.peer import PeerNetwork


def named_peers(files: tuple[Path, ...]) -> dict[str, PeerNetwork]:
    """Each by its architecture, or, where two have the same, by its file."""
    from ctrecon.errors import SettingError
    from ctrecon.studies.peers.peer import load_peer

    loaded = [(path, load_peer(path)[0]) for path in files]
    kinds = [network.kind for _, network in loaded]
    named = {
        network.kind if kinds.count(network.kind) == 1 else f"{network.kind} {path.stem}": network
        for path, network in loaded
    }
    if len(named) < len(files):
        raise SettingError("two files of --peer have the same name and architecture; rename one")
    return named
