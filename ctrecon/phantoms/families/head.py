"""Heads: a randomised relative of the phantoms of Shepp and Logan (1974) and of FORBILD.

A slice through the ventricles or one through the skull base, with tissue contrasts near the real ones or raised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.base import Phantom, Primitive
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.shapes import (
    AIR,
    Room,
    ellipse_outline,
    filled,
    log_uniform,
    outline,
    ribbon,
    shrunk,
)
from ctrecon.support.arrays import Float64Array

PLACE = 30

SKIN = 1.0
FLUID = 1.01


@dataclass(frozen=True)
class Head:
    """Skin, skull and brain, then what the slice shows; the face looks up before the final turn."""

    name: str = "head"

    def sample(self, rng: np.random.Generator) -> Phantom:
        width, length = rng.uniform(0.7, 0.82), rng.uniform(0.88, 0.96)
        skin = ellipse_outline((0.0, 0.0), (width, length), count=64)
        # Narrower at the forehead, as heads are.
        skin[:, 0] *= 1 - rng.uniform(0.02, 0.14) * skin[:, 1] / length
        bone = rng.uniform(1.5, 2.1)
        # Real contrasts in the brain are 1 to 5%; raised ones let the shapes be seen at high noise too.
        contrast = log_uniform(rng, 1.0, 6.0)
        brain = FLUID + 0.03 * contrast
        outer = rng.uniform(0.91, 0.96)
        inner = outer - rng.uniform(0.05, 0.11)
        cavity = shrunk(skin, inner)
        lobes = shrunk(skin, inner * rng.uniform(0.955, 0.985))
        parts: list[Primitive] = [
            filled(skin, SKIN),
            filled(shrunk(skin, outer), bone - SKIN),
            filled(cavity, FLUID - bone),
            filled(lobes, brain - FLUID),
        ]
        room = Room(shrunk(skin, inner * 0.95))
        half_width, half_length = inner * width, inner * length
        if rng.random() < 0.65:
            parts += _ventricles(rng, room, half_width, half_length, brain, contrast)
        else:
            parts += _skull_base(rng, room, half_width, half_length, brain, bone)
        parts += _lesions(rng, room, brain, contrast)
        turn = rng.normal(0, 0.2) if rng.random() < 0.7 else rng.uniform(0, 2 * math.pi)
        return Phantom(tuple(parts)).moved(turn_rad=float(turn))


def _mirrored(vertices: Float64Array, side: int) -> Float64Array:
    flipped: Float64Array = vertices * np.array([side, 1.0])
    return flipped


def _ventricles(
    rng: np.random.Generator, room: Room, width: float, length: float, brain: float, contrast: float
) -> list[Primitive]:
    parts: list[Primitive] = []
    # Falx: a thin bright sheet in front and behind.
    thin = rng.uniform(0.008, 0.02)
    for low, high in ((0.5, 0.93), (-0.93, -0.5)):
        y = np.linspace(low, high, 6) * length
        parts.append(filled(ribbon(np.stack([0.01 * np.sin(9 * y), y], axis=1), thin), 0.02 * contrast))
    # White matter is a little darker than the cortex around it.
    white = _wavy_half(rng, width, length)
    size = rng.uniform(0.5, 1.2)
    s = np.linspace(0, 1, 14)
    for side in (-1, 1):
        parts.append(filled(_mirrored(white, side), -0.008 * contrast))
        # A lateral ventricle: from the frontal horn inwards along the middle, then out to the occipital horn.
        x = 0.09 + 0.16 * (2 * s - 1) ** 2 * np.where(s < 0.5, 0.7, 1.2)
        path = np.stack([x * width * 1.4, (0.36 - 0.78 * s) * length], axis=1)
        girth = size * (0.03 + 0.09 * np.sin(np.pi * s) ** 2 * rng.uniform(0.7, 1.1)) * width * 1.3
        parts.append(filled(_mirrored(ribbon(path, girth), side), (FLUID - brain) * rng.uniform(0.75, 0.8)))
        # Thalamus and other grey nuclei beside it.
        center = (side * rng.uniform(0.36, 0.44) * width, rng.uniform(-0.05, 0.1) * length)
        axes = (rng.uniform(0.07, 0.12) * width, rng.uniform(0.12, 0.2) * length)
        parts.append(Ellipse(center=center, semi_axes=axes, value=0.01 * contrast, angle_rad=side * 0.3))
        if rng.random() < 0.3:
            # Calcified choroid plexus.
            place = (side * 0.3 * width, -0.3 * length)
            parts.append(Ellipse(center=place, semi_axes=(0.02, 0.015), value=rng.uniform(0.1, 0.6)))
    room.block((0.0, 0.0), 0.45 * width)
    # Sulci: short dark clefts at the cortex.
    for _ in range(rng.integers(6, 22)):
        angle = rng.uniform(0, 2 * math.pi)
        depth = np.linspace(0.95, rng.uniform(0.72, 0.88), 5)
        bend = angle + 0.08 * rng.normal() * np.linspace(0, 1, 5)
        path = np.stack([depth * width * 0.97 * np.cos(bend), depth * length * 0.97 * np.sin(bend)], axis=1)
        parts.append(filled(ribbon(path, np.linspace(1, 0.3, 5) * rng.uniform(0.008, 0.02)), FLUID - brain))
    return parts


def _wavy_half(rng: np.random.Generator, width: float, length: float) -> Float64Array:
    return outline(rng, (0.46 * width, 0.0), (0.36 * width, 0.74 * length), roughness=0.12, waves=9, count=64)


def _skull_base(
    rng: np.random.Generator, room: Room, width: float, length: float, brain: float, bone: float
) -> list[Primitive]:
    parts: list[Primitive] = []
    dense = rng.uniform(0.9, 1.3) * (bone - brain)
    for side in (-1, 1):
        # Petrous bone: a wedge from the side wall towards the middle, with air cells.
        s = np.linspace(0, 1, 8)
        path = np.stack([side * (0.2 + 0.68 * s) * width, (0.08 - 0.25 * s) * length], axis=1)
        girth = (0.06 + 0.16 * s + 0.02 * rng.normal(size=8)) * length
        wedge = ribbon(path, np.maximum(girth, 0.03))
        parts.append(filled(wedge, dense))
        cells = Room(wedge)
        for _ in range(rng.integers(3, 10)):
            radius = log_uniform(rng, 0.012, 0.035)
            place = cells.take(rng, radius, gap=0.004)
            if place is not None:
                parts.append(Ellipse(center=place, semi_axes=(radius, radius), value=AIR - brain))
        # Orbit: fat, eyeball, lens.
        eye = (side * rng.uniform(0.38, 0.44) * width, rng.uniform(0.52, 0.58) * length)
        radius = rng.uniform(0.15, 0.18) * width * 1.2
        parts.append(Ellipse(center=eye, semi_axes=(radius * 1.15, radius * 1.25), value=0.92 - brain))
        parts.append(Ellipse(center=eye, semi_axes=(radius * 0.8, radius * 0.8), value=rng.uniform(0.09, 0.12)))
        lens = (eye[0], eye[1] + 0.55 * radius)
        parts.append(Ellipse(center=lens, semi_axes=(radius * 0.3, radius * 0.14), value=0.08))
        room.block(eye, radius * 1.25)
        room.block((side * 0.6 * width, -0.05 * length), 0.3 * width)
    # Nasal cavity and sinus: air between thin walls.
    x = rng.uniform(0.07, 0.1) * width
    low, high = rng.uniform(0.28, 0.34) * length, rng.uniform(0.66, 0.76) * length
    middle = (low + high) / 2
    nose = np.array([[-x, low], [x, low], [1.2 * x, middle], [x, high], [-x, high], [-1.2 * x, middle]])
    parts.append(filled(nose, AIR - brain))
    for k in range(int(rng.integers(2, 5))):
        y = low + (high - low) * (k + rng.uniform(0.3, 0.7)) / 4.5
        wall = np.array([[-x, y], [0.0, y + 0.01 * rng.normal()], [x, y]])
        parts.append(filled(ribbon(wall, 0.012), rng.uniform(0.6, 1.0)))
    room.block((0.0, 0.5 * length), 0.3 * length)
    # Brain stem in its cistern of fluid.
    stem = (0.0, rng.uniform(-0.1, 0.0) * length)
    parts.append(Ellipse(center=stem, semi_axes=(0.19 * width, 0.16 * length), value=FLUID - brain))
    parts.append(Ellipse(center=stem, semi_axes=(0.14 * width, 0.12 * length), value=brain - FLUID))
    room.block(stem, 0.18)
    return parts


def _lesions(rng: np.random.Generator, room: Room, brain: float, contrast: float) -> list[Primitive]:
    parts: list[Primitive] = []
    for _ in range(rng.integers(1, 7)):
        radius = log_uniform(rng, 0.02, 0.16)
        place = room.take(rng, radius)
        if place is None:
            continue
        kind = rng.random()
        if kind < 0.4:
            value = -rng.uniform(0.005, 0.03) * contrast
        elif kind < 0.85:
            value = rng.uniform(0.005, 0.04) * contrast
        else:
            radius, value = min(radius, 0.03), rng.uniform(0.2, 0.8)
        shape = outline(rng, place, (radius, radius * rng.uniform(0.5, 1)), angle_rad=rng.uniform(0, 3), count=24)
        parts.append(filled(shape, value))
        if kind < 0.85 and rng.random() < 0.3:
            parts.append(filled(shrunk(shape, 0.6), -0.5 * value))
    return parts
