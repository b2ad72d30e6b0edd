"""What a person hands over is held against the annotations: a value of another kind is refused in one line."""

from __future__ import annotations

import difflib
import fractions
import functools
import inspect
import math
import numbers
import os
import reprlib
import types
import typing
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from ctrecon.errors import CtreconError, InputError, SettingError
from ctrecon.support.torch_state import plain_torch

P = ParamSpec("P")
R = TypeVar("R")
_MOST = 80
_LARGEST = 1 << 63


def checked_with(error: type[CtreconError]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes functions whose arguments are held against their annotations before they begin, under plain torch.

    Numbers of NumPy reach them as Python's own. What a number or a text may be is their own to say; keywords by ``**``
    too.

    Args:
        error: What is raised for a value of another kind; for ``SettingError`` an array raises InputError.

    Returns:
        A decorator of annotated functions; a name that only a type checker imports is known by itself.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        rest = next((name for name, one in signature.parameters.items() if one.kind is one.VAR_KEYWORD), "")

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as why:
                raise TypeError(f"{function.__name__}() {why}{_meant(function, signature, kwargs)}") from None
            kinds = _hints(function)
            keys = _keys(kinds.get(rest))
            for name in bound.arguments.get(rest, ()):
                if keys is not None and name not in keys:
                    said = f"got an unexpected keyword argument {name!r}{_meant(function, signature, kwargs)}"
                    raise TypeError(f"{function.__name__}() {said}")
            for name, value in bound.arguments.items():
                if name in kinds and name != rest:
                    bound.arguments[name] = as_annotated(name, value, kinds[name], error=error)
            with plain_torch():
                return function(*bound.args, **bound.kwargs)

        return call

    return decorate


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A function that refuses an argument of another kind with a SettingError, an array with an InputError."""
    return checked_with(SettingError)(function)


def check_fields(instance: Any, *, apart: Sequence[str] = (), of: str = "", error: type[CtreconError]) -> None:
    """The same for the fields of a frozen dataclass, from its ``__post_init__``.

    Args:
        instance: Whose numbers become Python's own.
        apart: Fields that it checks itself.
        of: What begins the message.
        error: What is raised for a value of another kind.
    """
    kinds = _hints(cast(Hashable, type(instance)))
    for field in fields(instance):
        if field.name not in apart:
            value = getattr(instance, field.name)
            plain = as_annotated(field.name, value, kinds[field.name], of=of, error=error)
            if plain is not value:
                object.__setattr__(instance, field.name, plain)


def as_annotated(
    name: str, value: Any, kind: Any, *, of: str = "", error: type[CtreconError] = SettingError
) -> Any:
    """``value`` where it is of the annotation's kind, a number as Python's own. Raises ``error`` where it is not."""
    if not fits(value, kind):
        if error is SettingError and shape_of(value):
            error = InputError
        raise error(f"{of}{name} must be {in_words(kind)}, got {shown(value)}")
    if isinstance(value, str | os.PathLike) and _names_files(kind) and not _can_be_named(os.fspath(value)):
        raise error(f"{of}{name} must be {in_words(kind)}, and no file can be named {shown(value)}")
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        whole = int(value)
        if abs(whole) > _LARGEST:
            raise error(f"{of}{name} is far too large: a number of {len(str(whole))} digits")
        return whole
    return float(value) if isinstance(value, np.floating | fractions.Fraction) else value


def _meant(function: Any, signature: inspect.Signature, given: Mapping[str, Any]) -> str:
    """What a keyword that the function does not know may be; nothing where all are known."""
    known: dict[str, str] = {}
    for name, one in signature.parameters.items():
        kind = _hints(function).get(name)
        if one.kind is one.VAR_KEYWORD:
            known |= {key: key for key in _keys(kind) or ()}
            continue
        known[name] = name
        for arm in _arms(kind) if name == "settings" else ():
            if is_dataclass(arm):
                known = {key.name: f"{name}={_word(arm)[2:]}({key.name}=...)" for key in fields(arm)} | known
    unknown = next((name for name in given if name not in signature.parameters and known.get(name) != name), None)
    close = None if unknown is None else difflib.get_close_matches(unknown, known, n=1)
    if close is None:
        return ""
    return f"; did you mean {known[close[0]]}?" if close else f"; it takes {', '.join(sorted(known))}"


def _keys(kind: Any) -> Collection[str] | None:
    """The names that ``**options: Unpack[Options]`` may bear; None where they are not stated."""
    return typing.get_args(kind)[0].__annotations__ if typing.get_origin(kind) is typing.Unpack else None


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotation's kind; what the annotation leaves open fits."""
    return any(_fits(value, arm) for arm in _arms(kind))


def in_words(kind: Any) -> str:
    """An annotation for people: ``a number or None``."""
    arms = _arms(kind)
    if _names_files(kind):
        others = [arm for arm in arms if (typing.get_origin(arm) or arm) not in (str, os.PathLike)]
        return " or ".join(dict.fromkeys(["the name of a file or folder", *map(_word, others)]))
    return " or ".join(dict.fromkeys(map(_word, arms)))


def shown(value: Any) -> str:
    """A value in a few words, whatever it is."""
    if shape := shape_of(value):
        return f"{type(value).__name__} of shape {shape}"
    text = reprlib.repr(value)
    return text if len(text) <= _MOST else f"a {type(value).__name__}"


def shape_of(value: Any) -> tuple[int, ...]:
    """Of an array; empty for all else, and for one that has no shape, as a nested tensor."""
    try:
        shape = getattr(value, "shape", None)
    except RuntimeError:
        return ()
    return tuple(shape) if isinstance(shape, tuple) else ()


class _Named:
    """Stands for a class that only a type checker imports: whoever has one has loaded it, and its name is known."""


@functools.cache
def _hints(thing: Any) -> dict[str, Any]:
    known: dict[str, Any] = {}
    while True:
        try:
            return typing.get_type_hints(thing, localns=known)
        except NameError as missing:
            name = str(missing.name)
            known[name] = type(name, (_Named,), {})


def _names_files(kind: Any) -> bool:
    return any((typing.get_origin(arm) or arm) is os.PathLike for arm in _arms(kind))


def _can_be_named(name: str) -> bool:
    try:
        return bool(name) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _arms(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _fits(value: Any, arm: Any) -> bool:
    origin, inner = typing.get_origin(arm) or arm, typing.get_args(arm)
    if origin in _SCALARS:
        return _SCALARS[origin](value)
    if origin is typing.Literal:
        return any(_fits(value, type(one)) for one in inner)
    if origin is np.ndarray:  # or a tensor
        return bool(getattr(value, "ndim", 0))
    if origin is tuple and Ellipsis not in inner:
        return isinstance(value, tuple | list) and len(value) == len(inner) and all(map(fits, value, inner))
    if origin in (tuple, Sequence):
        is_one = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return is_one and all(fits(one, inner[0]) for one in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if isinstance(origin, type) and issubclass(origin, _Named):
        return any(one.__name__ == origin.__name__ for one in type(value).__mro__)
    try:
        return not isinstance(origin, type) or isinstance(value, origin)
    except TypeError:  # a protocol
        return all(hasattr(value, name) for name in vars(origin) if name == "__call__" or not name.startswith("_"))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return False
    return isinstance(value, numbers.Integral) or math.isfinite(value)


_SCALARS: dict[Any, Callable[[Any], bool]] = {
    float: _is_number,
    int: lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_),
    bool: lambda value: isinstance(value, bool | np.bool_),
    str: lambda value: isinstance(value, str),
    os.PathLike: lambda value: isinstance(value, os.PathLike) and isinstance(os.fspath(value), str),
    types.NoneType: lambda value: value is None,
    None: lambda value: value is None,
    Any: lambda value: True,
}
_WORDS = {
    float: "a finite number", int: "a whole number", bool: "true or false", str: "a text", types.NoneType: "None",
    tuple: "a tuple", Sequence: "a list", Mapping: "a dictionary", Callable: "a function", np.ndarray: "an array",
}  # fmt: skip


def _word(arm: Any) -> str:
    origin, inner = typing.get_origin(arm) or arm, typing.get_args(arm)
    if origin is typing.Literal:
        return "a text"
    if origin is tuple and Ellipsis not in inner:
        return f"{len(inner)} of {in_words(inner[0]).removeprefix('a ')}s"
    if origin in (tuple, Sequence):
        return f"a list whose entries are {in_words(inner[0])}"
    if origin in _WORDS:
        return _WORDS[origin]
    name = getattr(origin, "__name__", str(origin))
    return f"a{'n' * (name[0] in 'AEIOU')} {name}"
