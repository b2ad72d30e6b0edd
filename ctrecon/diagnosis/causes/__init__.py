"""What may be wrong with a scan, one cause a file; a new one is registered by one line below."""

from __future__ import annotations

from ctrecon.diagnosis.causes.air_level import air_level
from ctrecon.diagnosis.causes.angle_gap import angle_gap
from ctrecon.diagnosis.causes.angle_range import angle_range, ends_meet
from ctrecon.diagnosis.causes.angle_unit import angle_unit
from ctrecon.diagnosis.causes.angles_negated import angles_negated
from ctrecon.diagnosis.causes.axis import axis
from ctrecon.diagnosis.causes.bad_columns import bad_columns
from ctrecon.diagnosis.causes.cell_order import cell_order
from ctrecon.diagnosis.causes.copies import copies
from ctrecon.diagnosis.causes.correctable import correctable
from ctrecon.diagnosis.causes.detector_reversed import detector_reversed
from ctrecon.diagnosis.causes.detector_shape import detector_shape
from ctrecon.diagnosis.causes.distances import distances
from ctrecon.diagnosis.causes.few_values import few_values
from ctrecon.diagnosis.causes.filtered import filtered
from ctrecon.diagnosis.causes.length_unit import length_unit
from ctrecon.diagnosis.causes.lost_views import lost_views
from ctrecon.diagnosis.causes.not_logged import not_logged
from ctrecon.diagnosis.causes.saturated import saturated
from ctrecon.diagnosis.causes.shared_noise import shared_noise
from ctrecon.diagnosis.causes.transposed import transposed
from ctrecon.diagnosis.causes.values_unit import values_unit
from ctrecon.diagnosis.causes.view_gain import view_gain, view_mass
from ctrecon.diagnosis.causes.view_order import shuffled_views, view_order
from ctrecon.diagnosis.causes.wider_object import wider_object
from ctrecon.diagnosis.causes.wrapped import wrapped
from ctrecon.diagnosis.suggestion import Cause

CAUSES: tuple[Cause, ...] = (
    angles_negated,
    detector_reversed,
    angle_unit,
    angle_range,
    angle_gap,
    distances,
    detector_shape,
    length_unit,
    not_logged,
    air_level,
    wrapped,
    filtered,
    transposed,
    view_order,
    shuffled_views,
    cell_order,
    copies,
    bad_columns,
    lost_views,
    saturated,
    correctable,
    view_mass,
    view_gain,
    shared_noise,
    axis,
    wider_object,
    few_values,
    values_unit,
)
"""In the order in which equals are named: the simplest slip first."""

SPEAKING: tuple[Cause, ...] = (
    not_logged, air_level, wrapped, filtered, values_unit, few_values, ends_meet, view_order, cell_order, angle_gap,
    copies, bad_columns, lost_views, saturated, correctable, view_mass, shared_noise,
)  # fmt: skip
"""Those that look at the values alone, which costs little: they are asked in every reconstruction."""
