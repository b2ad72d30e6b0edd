"""Energies that compare with the data, ``(problem) -> Objective``; a file is one by being here."""
