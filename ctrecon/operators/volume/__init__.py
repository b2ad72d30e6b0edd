"""Projectors in space."""
