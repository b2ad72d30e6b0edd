"""Manifests of a stack by someone who knows the format and hashes them anew: none says what is not so and passes."""

import copy
import hashlib
import json

import pytest
from stacks import npy_stack

import ctrecon as ct
from ctrecon.reconstruction.settings import Settings
from ctrecon.workbench.stack.reconstruct import reconstruct_stack

# Words of whoever wrote it, which nothing can show to be false: see docs/tutorial_stacks.md.
FREE = {"made_with", "notes", "patient_position", "source", "reason", "settings"}
VALUES = (float("nan"), 10**400, -7, True, None, "\u0441ertified", {}, [[[]]], "x" * 10_000)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forged")
    asked = Settings(method="fbp", delta="30%", size=16)
    assert reconstruct_stack(npy_stack(folder, rows=2), folder / "v.zarr", asked).certified == 2
    return folder / "v.zarr"


def encoded(values):
    """As ``Manifest.to_bytes``, but of anything."""
    zeros = "0" * 64
    text = json.dumps({**values, "manifest_sha256": zeros}, sort_keys=True, indent=1) + "\n"
    own = hashlib.sha256(text.encode()).hexdigest()
    return text.replace(f'"manifest_sha256": "{zeros}"', f'"manifest_sha256": "{own}"', 1).encode()


def places(value, at=()):
    """Every place of a tree but the root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def inside(tree, at):
    for key in at:
        tree = tree[key]
    return tree


def forgeries(values):
    """``(place, what, tree)``: each entry removed, exchanged, doubled, renamed, and off by a little."""
    for at in places(values):
        old = inside(values, at)
        new = list(VALUES)
        if isinstance(old, float):
            new += [old * 1.001, -old]
        if isinstance(old, list):
            new += [old + old, old[:-1]]
        for value in [one for one in new if one != old]:
            tree = copy.deepcopy(values)
            inside(tree, at[:-1])[at[-1]] = value
            yield at, repr(value)[:40], tree
        for name in (None, "added", "lookalike") if isinstance(inside(values, at[:-1]), dict) else (None,):
            tree = copy.deepcopy(values)
            holder = inside(tree, at[:-1])
            if name == "added":
                holder[f"{at[-1]}2"] = old
            elif name == "lookalike":
                holder[str(at[-1]).replace("e", "\u0435").replace("a", "\u0430")] = holder.pop(at[-1])
            else:
                del holder[at[-1]]
            yield at, name or "removed", tree


def free(at):
    return any(key in FREE for key in at)


def test_a_forged_manifest_says_nothing_false_and_never_trips(store):
    place = store / "evidence" / "manifest.json"
    raw = place.read_bytes()
    values = json.loads(raw)
    assert encoded(values) == raw
    small = {**values, "settings": {name: values["settings"][name] for name in ("every", "center")}}
    tried, accepted = 0, []
    for at, what, tree in forgeries(small):
        same = tree == small or at == ("manifest_sha256",)  # which is made anew
        if same or at[:2] == ("slices", 1):  # as slice 0
            continue
        if isinstance(tree.get("settings"), dict) and at[0] != "settings":
            tree["settings"] = values["settings"]
        place.write_bytes(encoded(tree))
        found = ct.verify(store)
        tried += 1
        said = str(found)
        assert len(said.splitlines()) == 1, (at, what)
        assert len(said) < 1500, (at, what)
        if found.valid and not free(at):
            accepted.append((at, what))
    place.write_bytes(raw)
    assert ct.verify(store)
    assert tried > 300
    assert accepted == []


@pytest.mark.parametrize("key", ["every", "center", "correct", "geometry"])
def test_settings_of_another_type_are_refused(store, key):
    place = store / "evidence" / "manifest.json"
    raw = place.read_bytes()
    values = json.loads(raw)
    try:
        for value in ({}, [1], True, float("nan")):
            place.write_bytes(encoded({**values, "settings": {**values["settings"], key: value}}))
            found = ct.verify(store)
            assert not found, (key, value)
            assert len(str(found).splitlines()) == 1
    finally:
        place.write_bytes(raw)
