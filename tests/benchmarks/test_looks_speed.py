"""How long one look of the network takes: ``pytest tests/benchmarks --benchmark-enable``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ctrecon.networks.pretrained import load_ct_network

Clock = Callable[[tuple[str, ...], Callable[[], object]], None]


def test_one_pass_of_the_default_network(full: bool, clock: Clock) -> None:
    network, _ = load_ct_network("ct-default")
    n = 512 if full else 32
    x = torch.rand(1, 5, n, n)

    def one_pass() -> None:
        with torch.no_grad():
            network(x)

    clock(("512", "pass"), one_pass)
