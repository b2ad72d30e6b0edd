"""Which settings are names of files, and what of them is written: no folder, which often names a patient."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctrecon.io.turns import TURNS
from ctrecon.networks.pretrained import usual_ct_weights
from ctrecon.reconstruction.settings import GIVEN


def named_files(settings: Mapping[str, Any]) -> dict[str, str]:
    """Those of the settings that are names of files, as they are."""
    usual = tuple(usual_ct_weights(in_space=one) for one in (False, True))
    kept = {"geometry": tuple(TURNS), "repeat": (), "prior": usual}
    return {key: str(settings[key]) for key, known in kept.items() if settings.get(key) not in (None, *known)}


def last_part(setting: str) -> str:
    """The file's own name, of one that a program gave, too."""
    return Path(setting.removeprefix(GIVEN)).name


def without_folders(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with files by their own names alone."""
    found = named_files(settings)
    return {**settings, **{key: GIVEN * name.startswith(GIVEN) + last_part(name) for key, name in found.items()}}
