"""The methods by the name a person gives them: one line here and one file in this folder make a new one.

A method is a function ``(problem, *, ..., watch=None, checkpoint=NOWHERE) -> Outcome``. Its other keyword parameters
bear the names of those ``Settings`` that it has a use for, and it is called with what was set of them; what it has no
use for is refused before any work. It offers ``checkpoint`` what it could go on from, and begins from what that
recalls. Only the file of the method that runs is imported.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from ctrecon.errors import SettingError

if TYPE_CHECKING:
    from ctrecon.reconstruction.problem import Outcome

METHODS: dict[str, tuple[str, str]] = {
    "energy": ("energy_dissipation", "energy_dissipation"),
    "gradient": ("gradient", "gradient_descent"),
    "cgls": ("cgls", "conjugate_gradients"),
    "huber-tv": ("huber_tv", "huber_tv"),
    "fista-tv": ("fista_tv", "fista_tv"),
    "sirt": ("sirt", "sirt"),
    "os-sart": ("os_sart", "os_sart"),
    "mlem": ("mlem", "mlem"),
    "fbp": ("fbp", "filtered_back_projection"),
}
"""Every method by the name that ``--method`` takes: the file in this folder, and the function in it."""


def load_method(name: str) -> Callable[..., Outcome]:
    """The function of a method.

    Args:
        name: One of ``METHODS``.

    Returns:
        From a problem, with settings as keywords, to an outcome.

    Raises:
        SettingError: Where there is none of that name.
    """
    if name not in METHODS:
        raise SettingError(f"there is no method {name[:60]!r}; use {', '.join(METHODS)}")
    file, function = METHODS[name]
    method: Callable[..., Outcome] = getattr(importlib.import_module(f"{__name__}.{file}"), function)
    return method


def settings_of(method: Callable[..., Outcome]) -> frozenset[str]:
    """The names of the settings that a method has a use for."""
    parameters = inspect.signature(method).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY) - {"watch", "checkpoint"}
