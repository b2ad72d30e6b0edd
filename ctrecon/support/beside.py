"""What files beside a certificate are called, but for those that the checker reads."""

HISTORY = ".history.json"
"""How the image came about: ``S.history.json`` beside ``S.npy``."""
