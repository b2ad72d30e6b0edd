"""Certified learned CT reconstruction."""
