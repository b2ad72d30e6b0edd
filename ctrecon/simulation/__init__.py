"""Scans that were never measured: of phantoms and of clinical images."""
