"""Other problems through the same energies and descent."""
