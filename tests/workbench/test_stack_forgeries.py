"""Manifests of a stack by someone who knows the format and hashes them anew: none says what is not so and passes."""

import copy
import hashlib
import json
import shutil
from dataclasses import replace

import pytest
from stacks import npy_stack

import ctrecon as ct
from ctrecon.io.npy import read_npy
from ctrecon.outputs.report.stack_content import gather_stack, say_stack
from ctrecon.outputs.report.volume_page import render_stack
from ctrecon.outputs.stack.manifest import read_manifest
from ctrecon.outputs.stack.ome_zarr import OmeZarr
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


@pytest.mark.long
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


def move(evidence, old, new, put):
    for path in sorted(evidence.glob(f"slice-{old:04d}.*")):
        put(path, evidence / path.name.replace(f"{old:04d}", f"{new:04d}"))


def exchanged(evidence, manifest):
    for old, new in ((1, 9), (2, 1), (9, 2)):
        move(evidence, old, new, shutil.move)
    first, second = manifest.slices
    z = first["z_mm"], second["z_mm"]
    return replace(manifest, slices=({**second, "z_mm": z[0]}, {**first, "z_mm": z[1]}))


def repeated(evidence, manifest):
    move(evidence, 1, 2, shutil.copy)
    first, second = manifest.slices
    return replace(manifest, slices=(first, {**first, "z_mm": second["z_mm"]}))


def dropped(evidence, manifest):
    for path in evidence.glob("slice-0002.*"):
        path.unlink()
    return replace(manifest, shape=(1, *manifest.shape[1:]), slices=manifest.slices[:1])


def moved(manifest, times, more):
    slices = tuple({**one, "z_mm": one["z_mm"] * times + more} for one in manifest.slices)
    first, step = (slices[0]["z_mm"], *manifest.first_mm[1:]), manifest.step_mm
    return replace(manifest, slices=slices, first_mm=first, step_mm=(step[0] * times, *step[1:]))


WHOLES = {
    "exchanged": (exchanged, "2 of 2 slices are refused"),
    "repeated": (repeated, "1 of 2 slices are refused"),
    "dropped": (dropped, "the scan has 2 slices, not 1"),
    "shifted": (lambda evidence, manifest: moved(manifest, 1, 50), "its slices stand from z = 49 to 51"),
    "lying": (lambda evidence, manifest: replace(manifest, patient_position="FFS"), "2 of 2 slices are refused"),
    "stretched": (lambda evidence, manifest: moved(manifest, 3, 0), "slices are 6 apart is the manifest's word"),
}


@pytest.mark.parametrize("what", WHOLES)
def test_a_whole_made_anew_is_found_out_by_the_scan_and_no_more_is_said_without(store, tmp_path, what):
    """Volume, evidence and manifest agree: what only the manifest tells is never said to be so."""
    forged = tmp_path / store.name
    shutil.copytree(store, forged)
    evidence = forged / "evidence"
    change, said = WHOLES[what]
    manifest = change(evidence, read_manifest("", (evidence / "manifest.json").read_bytes()))
    images = [read_npy(evidence / f"slice-{k + 1:04d}.npy") for k in range(manifest.shape[0])]
    ends = min(float(image.min()) for image in images), max(float(image.max()) for image in images)
    manifest = replace(manifest, range=ends)
    for path in [path for path in forged.iterdir() if path != evidence]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (evidence / "manifest.json").write_bytes(manifest.to_bytes())
    OmeZarr().write(forged, manifest, iter(images))
    alone = ct.verify(forged)
    assert "that the manifest lists, each where it says" in alone.statement
    assert ("slices 1 and 2 are of the same data" in alone.statement) == (what == "repeated")
    if what in ("repeated", "exchanged"):
        stack = gather_stack(forged)
        assert [one.repeats for one in stack.slices] == [None, 1 if what == "repeated" else None]
        assert ("Slices 1 and 2 are of the same data" in say_stack(stack).lead) == (what == "repeated")
        page = render_stack(stack)
        assert ("of the same data as slice 1</li>" in page) == (what == "repeated")
        assert ('<section class="verdict certified"' in page) == (what != "repeated")
    found = ct.verify(forged, scan=store.with_name("scan.npy"))
    assert found.valid == (what == "stretched")
    assert said in str(found)


def test_nothing_of_a_stack_is_a_link_or_a_signature_that_is_none(store, tmp_path):
    for name in ("evidence/slice-0002.data.npy", "evidence/slice-0001.certificate.json", "0/0/0/0", "0", "evidence"):
        linked = tmp_path / store.name
        shutil.copytree(store, linked)
        (linked / name).rename(tmp_path / "far")
        (linked / name).symlink_to(tmp_path / "far")
        assert "is a link" in ct.verify(linked).reason, name
        shutil.rmtree(linked)
        shutil.rmtree(tmp_path / "far") if (tmp_path / "far").is_dir() else (tmp_path / "far").unlink()
    place = store / "evidence" / "manifest.sig"
    try:
        place.write_text("approved for diagnosis\n")
        assert "cannot be read" in ct.verify(store).reason
        place.write_text(f"ed25519 {'ab' * 32} {'cd' * 64}\n")
        assert "its signature, not checked, names the key abab" in ct.verify(store).statement
    finally:
        place.unlink()
