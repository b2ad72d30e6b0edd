"""Projections of CT scanners (DICOM-CT-PD), read, rebinned and synthesised."""
