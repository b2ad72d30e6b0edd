"""Certified series out, and the check of one."""
