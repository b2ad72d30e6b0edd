"""Photographs to train on, without those that are in a test set under another name or in another size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.support.arrays import Float32Array
from ctrecon.training.image_sets import read_natural_images

# Two photographs of a set correlate up to 0.95 when both are a bright sky over dark ground; resized copies of one
# reach 0.99.
SAME = 0.97
_ROWS, _COLUMNS = 16, 24


@dataclass(frozen=True)
class TrainingImages:
    """Luminance from 0 to 1, ``[rows, columns]`` each, and how many copies of test images were left out."""

    images: list[Float32Array]
    left_out: int


def read_training_images(folders: Iterable[Path], held_out: Sequence[Path] = ()) -> TrainingImages:
    """Every PNG and JPEG of ``folders`` but those that look like one of the folders ``held_out``.

    Finds resized, turned and mirrored copies, not small crops. Raises InputError where nothing is left.
    """
    images = read_natural_images(folders)
    marks = [_mark(turned) for image in read_natural_images(held_out) for turned in _eight(_thumbnail(image))]
    kept = images
    if marks:
        likeness = [float(np.max(np.stack(marks) @ _mark(_thumbnail(image)))) for image in images]
        kept = [image for image, like in zip(images, likeness, strict=True) if like < SAME]
    if not kept:
        raise InputError(f"no images to train on among the {len(images)} found; give a folder of PNG or JPEG files")
    return TrainingImages(kept, len(images) - len(kept))


def _thumbnail(image: Float32Array) -> Float32Array:
    """``[16, 24]`` means, lying images and standing ones alike."""
    lying = image if image.shape[0] <= image.shape[1] else image.T
    rows = np.linspace(0, lying.shape[0], _ROWS + 1).astype(int)
    columns = np.linspace(0, lying.shape[1], _COLUMNS + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(lying, rows[:-1], axis=0), columns[:-1], axis=1)
    return np.asarray(sums / np.outer(np.diff(rows), np.diff(columns)), dtype=np.float32)


def _eight(small: Float32Array) -> list[Float32Array]:
    # Standing images were transposed to lie: with the mirror images of both sides that covers all eight symmetries.
    return [small, small[::-1], small[:, ::-1], small[::-1, ::-1]]


def _mark(small: Float32Array) -> Float32Array:
    centred = (small - small.mean()).ravel()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-6), dtype=np.float32)
