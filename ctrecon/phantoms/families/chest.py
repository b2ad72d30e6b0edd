"""Chests: fat, muscle, two lungs with vessels, heart, great vessels, spine and ribs in an axial slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.base import Phantom, Primitive
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.gaussian import Gaussian
from ctrecon.phantoms.shapes import (
    AIR,
    Room,
    bent_path,
    clearance,
    filled,
    log_uniform,
    outline,
    ribbon,
)
from ctrecon.support.arrays import Float64Array

PLACE = 40

FAT = 0.9
MUSCLE = 1.05


@dataclass(frozen=True)
class Chest:
    """The front looks up before the final turn; the heart bulges to the right, the patient's left."""

    name: str = "chest"

    def sample(self, rng: np.random.Generator) -> Phantom:
        width = rng.uniform(0.9, 0.97)
        depth = width * rng.uniform(0.62, 0.8)
        fat = rng.uniform(0.03, 0.13)
        skin = outline(rng, (0.0, 0.0), (width, depth), roughness=0.015, waves=4, count=64)
        # Muscle and cage stay inside the skin, whose radius falls by its roughness only.
        muscle = (width * 0.95 - fat, depth * 0.95 - fat * rng.uniform(0.7, 1.2))
        parts: list[Primitive] = [filled(skin, FAT)]
        parts.append(filled(outline(rng, (0.0, 0.0), muscle, roughness=0.015, count=64), MUSCLE - FAT))
        cage = (muscle[0] * rng.uniform(0.8, 0.86), muscle[1] * rng.uniform(0.76, 0.84))
        lungs = _lungs(rng, cage)
        for lung in lungs:
            density = rng.uniform(0.18, 0.35)
            parts.append(filled(lung, density - MUSCLE))
            parts += _inside_lung(rng, lung)
        parts += _mediastinum(rng, cage)
        parts += _bones(rng, cage, muscle)
        turn = rng.normal(0, 0.12) if rng.random() < 0.7 else rng.uniform(0, 2 * math.pi)
        return Phantom(tuple(parts)).moved(turn_rad=float(turn))


def _lungs(rng: np.random.Generator, cage: tuple[float, float]) -> list[Float64Array]:
    """Two outlines between the cage and the mediastinum; the heart pushes the one at the right back."""
    lungs = []
    heart_y, heart_size = rng.uniform(0.1, 0.35) * cage[1], rng.uniform(0.15, 0.36) * cage[0]
    for side in (-1, 1):
        s = np.linspace(-1, 1, 22)
        top, bottom = rng.uniform(0.78, 0.9) * cage[1], -rng.uniform(0.8, 0.92) * cage[1]
        y = (top + bottom) / 2 + (top - bottom) / 2 * np.sin(np.pi / 2 * s)
        outside = cage[0] * np.sqrt(1 - (y / cage[1]) ** 2)
        bulge = heart_size * (1.0 if side > 0 else rng.uniform(0.1, 0.5))
        inside = 0.2 * cage[0] + bulge * np.exp(-(((y - heart_y) / (0.4 * cage[1])) ** 2))
        inside += 0.02 * np.sin(rng.uniform(4, 9) * y / cage[1] + rng.uniform(0, 6))
        inside = np.minimum(inside, outside - 0.06)
        # Round the ends: towards them both borders meet, nearer to the inner one.
        close = (1 - np.abs(s) ** 5) ** 0.5
        meet = 0.4 * outside + 0.6 * inside
        outside, inside = meet + (outside - meet) * close, meet + (inside - meet) * close
        lung = np.concatenate([np.stack([outside, y], 1), np.stack([inside, y], 1)[-2:0:-1]])
        lungs.append(lung * np.array([side, 1.0]))
    return lungs


def _inside_lung(rng: np.random.Generator, lung: Float64Array) -> list[Primitive]:
    parts: list[Primitive] = []
    room = Room(lung)
    middle = lung.mean(axis=0)
    hilum = np.array([0.55 * middle[0], middle[1] + rng.uniform(-0.05, 0.1)])
    # Branches that taper from the hilum, as far as they stay inside.
    for _ in range(rng.integers(4, 9)):
        aim = lung[rng.integers(lung.shape[0])] - hilum
        heading, length = math.atan2(aim[1], aim[0]), rng.uniform(0.4, 0.9) * math.hypot(aim[0], aim[1])
        path = bent_path(rng, (float(hilum[0]), float(hilum[1])), heading, length, bend=0.4)
        # All begin at the hilum; they part before they are drawn, or their sum there would outshine bone.
        path = path[int(rng.integers(1, 3)) :]
        path = path[clearance(lung, path) > 0.02]
        if path.shape[0] >= 3:
            girth = np.linspace(rng.uniform(0.016, 0.032), 0.005, path.shape[0])
            parts.append(filled(ribbon(path, girth), rng.uniform(0.3, 0.6)))
    # Vessels cut across.
    for _ in range(rng.integers(10, 36)):
        radius = log_uniform(rng, 0.005, 0.022)
        place = room.take(rng, radius, keep=False)
        if place is not None:
            axes = (radius, radius * rng.uniform(0.5, 1))
            parts.append(
                Ellipse(center=place, semi_axes=axes, value=rng.uniform(0.3, 0.8), angle_rad=rng.uniform(0, math.pi))
            )
    # Ground glass and the like: soft and slight.
    for _ in range(rng.integers(2, 7)):
        radius = log_uniform(rng, 0.02, 0.08)
        place = room.take(rng, 2 * radius, keep=False)
        if place is not None:
            widths = (radius, radius * rng.uniform(0.5, 1))
            parts.append(
                Gaussian(center=place, widths=widths, value=rng.uniform(0.02, 0.15), angle_rad=rng.uniform(0, math.pi))
            )
    if rng.random() < 0.4:
        radius = log_uniform(rng, 0.015, 0.09)
        place = room.take(rng, radius)
        if place is not None:
            nodule = outline(rng, place, (radius, radius), roughness=0.12, count=24)
            parts.append(filled(nodule, rng.uniform(0.5, 0.75)))
    if rng.random() < 0.25:
        radius = log_uniform(rng, 0.03, 0.12)
        place = room.take(rng, radius)
        if place is not None:
            # A bulla; the thinnest lung has 0.18.
            parts.append(Ellipse(center=place, semi_axes=(radius, radius * 0.8), value=-0.12))
    return parts


def _mediastinum(rng: np.random.Generator, cage: tuple[float, float]) -> list[Primitive]:
    """Heart, aorta, windpipe. Only the windpipe takes away, and only in plain muscle."""
    parts: list[Primitive] = []
    agent = rng.uniform(0.1, 0.4) if rng.random() < 0.4 else 0.0
    heart = (rng.uniform(0.06, 0.14) * cage[0], rng.uniform(0.15, 0.3) * cage[1])
    size = rng.uniform(0.2, 0.27) * cage[0]
    angle = rng.uniform(-0.9, -0.3)
    parts.append(filled(outline(rng, heart, (size * 1.15, size * 0.85), angle_rad=angle, count=40), 0.02))
    for _ in range(rng.integers(1, 4)):
        place = (heart[0] + rng.uniform(-0.4, 0.4) * size, heart[1] + rng.uniform(-0.3, 0.3) * size)
        axes = (rng.uniform(0.3, 0.5) * size, rng.uniform(0.2, 0.4) * size)
        parts.append(Ellipse(center=place, semi_axes=axes, value=0.015 + agent * rng.uniform(0.3, 1), angle_rad=angle))
    # Fat between the vessels: of muscle's value a seventh less.
    place = (rng.uniform(-0.05, 0.05), 0.62 * cage[1])
    parts.append(Ellipse(center=place, semi_axes=(0.13 * cage[0], 0.12 * cage[1]), value=FAT - MUSCLE))
    windpipe = rng.uniform(0.035, 0.055)
    x = -rng.uniform(0.0, 0.04)
    parts.append(
        Ellipse(center=(x, -0.2 * cage[1]), semi_axes=(windpipe, windpipe * rng.uniform(0.8, 1)), value=AIR - MUSCLE)
    )
    aorta = rng.uniform(0.05, 0.075)
    parts.append(Ellipse(center=(0.13 * cage[0], -0.42 * cage[1]), semi_axes=(aorta, aorta), value=0.02 + agent))
    if rng.random() < 0.3:
        parts.append(Ellipse(center=(0.13 * cage[0] + aorta, -0.42 * cage[1]), semi_axes=(0.012, 0.02), value=0.6))
    return parts


def _bones(rng: np.random.Generator, cage: tuple[float, float], muscle: tuple[float, float]) -> list[Primitive]:
    parts: list[Primitive] = []
    bone = rng.uniform(0.35, 0.7)
    # Spine: body with denser rim, canal within an arch, spinous process.
    radius = rng.uniform(0.11, 0.15)
    y = -cage[1] * rng.uniform(0.72, 0.78)
    parts.append(Ellipse(center=(0.0, y), semi_axes=(radius, radius * 0.78), value=bone))
    parts.append(Ellipse(center=(0.0, y), semi_axes=(radius * 0.86, radius * 0.64), value=-0.5 * bone))
    arch = (0.0, y - 1.05 * radius)
    parts.append(Ellipse(center=arch, semi_axes=(radius * 0.62, radius * 0.5), value=bone))
    parts.append(Ellipse(center=arch, semi_axes=(radius * 0.42, radius * 0.32), value=-bone))
    tip = min(muscle[1] * 0.96, abs(arch[1]) + radius * 1.3)
    process = np.stack([np.zeros(4), np.linspace(arch[1] - 0.45 * radius, -tip, 4)], axis=1)
    parts.append(filled(ribbon(process, np.linspace(0.5, 0.2, 4) * radius), bone))
    for side in (-1, 1):
        path = np.stack([side * np.linspace(0.5, 1.5, 4), np.linspace(-0.9, -1.25, 4)], axis=1) * radius
        parts.append(filled(ribbon(path + np.array([0.0, y]), np.linspace(0.35, 0.2, 4) * radius), bone * 0.9))
    # Sternum.
    middle = (cage[1] + muscle[1]) / 2
    parts.append(Ellipse(center=(0.0, middle), semi_axes=(rng.uniform(0.07, 0.12), 0.032), value=bone * 0.8))
    # Ribs: short arcs between cage and muscle; dense rim, marrow inside.
    thick = min(0.06, 0.5 * (muscle[1] - cage[1]), 0.5 * (muscle[0] - cage[0]))
    a, b = (0.55 * cage[0] + 0.45 * muscle[0]) * 0.99, (0.55 * cage[1] + 0.45 * muscle[1]) * 0.99
    for side in (-1, 1):
        angles = np.linspace(-1.05, 1.05, int(rng.integers(4, 7))) + rng.uniform(-0.1, 0.1)
        for angle in angles:
            t = angle + rng.uniform(0.06, 0.15) * np.linspace(-1, 1, 9)
            path = np.stack([side * a * np.cos(t), b * np.sin(t)], axis=1)
            # Rounded ends.
            taper = np.array([0.35, 0.8, 1, 1, 1, 1, 1, 0.8, 0.35])
            parts.append(filled(ribbon(path, thick * taper), bone * rng.uniform(0.8, 1.1)))
            parts.append(filled(ribbon(path[1:-1], 0.45 * thick * taper[1:-1]), -0.4 * bone))
    # Shoulder blades or breast tissue would come here; arms are raised in chest scans.
    if rng.random() < 0.35:
        for side in (-1, 1):
            t = -0.75 + 0.22 * np.linspace(-1, 1, 8)
            path = np.stack([side * 0.97 * muscle[0] * np.cos(t), 0.97 * muscle[1] * np.sin(t)], axis=1)
            parts.append(filled(ribbon(path * 0.98, 0.022), bone))
    return parts


