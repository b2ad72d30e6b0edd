"""Sudoku as a convex feasibility problem."""
