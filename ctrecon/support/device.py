"""Which device a name means."""

from __future__ import annotations

import torch

from ctrecon.errors import SettingError


def device_of(name: str | None) -> torch.device:
    """``cpu``, ``cuda``, ``cuda:1``; None for a GPU where there is one. Raises SettingError for what does not exist."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingError(f"there is no device {name!r}; use cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingError(f"there is no GPU for --device {name}; use cpu")
    return device
