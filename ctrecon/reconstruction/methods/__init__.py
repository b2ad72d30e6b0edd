"""The methods by the name a person gives them: a file in this folder is one, by being here.

Its function bears the name of its file; ``--method`` takes it with hyphens, in the order of ``PLACE``. A method is a
function ``(problem, *, ..., watch=None, checkpoint=NOWHERE) -> Outcome``. Its other keyword parameters bear the names
of those ``Settings`` that it has a use for, and it is called with what was set of them; what it has no use for is
refused before any work. It offers ``checkpoint`` what it could go on from, and begins from what that recalls. Only the
file of the method that runs is imported.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ctrecon.errors import SettingError
from ctrecon.support.folder import in_place, says

if TYPE_CHECKING:
    from ctrecon.reconstruction.problem import Outcome

_USUAL_VOLUMES = 8.0

METHODS = tuple(name.replace("_", "-") for name in in_place(__name__))
"""Every method by the name that ``--method`` takes, in the order of the ``PLACE`` of their files."""


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
    file = name.replace("-", "_")
    method: Callable[..., Outcome] = getattr(importlib.import_module(f"{__name__}.{file}"), file)
    return method


def title_of(name: str) -> str:
    """What a method is called in a report: its ``TITLE``, without one its name, as for a method that is no more."""
    return str(_constant(name, "TITLE", name))


def volumes_held(name: str) -> float:
    """About how many images a method holds at once with those of the proof: its ``VOLUMES_HELD``."""
    return float(_constant(name, "VOLUMES_HELD", _USUAL_VOLUMES))


def _constant(name: str, constant: str, otherwise: object) -> Any:
    return says(f"{__name__}.{name.replace('-', '_')}")[1].get(constant, otherwise) if name in METHODS else otherwise


def settings_of(method: Callable[..., Outcome]) -> frozenset[str]:
    """The names of the settings that a method has a use for."""
    parameters = inspect.signature(method).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY) - {"watch", "checkpoint"}
