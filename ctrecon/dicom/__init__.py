"""DICOM in and out: images, projections, series with their certificates."""
