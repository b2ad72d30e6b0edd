"""The nodes of a hospital's network."""
