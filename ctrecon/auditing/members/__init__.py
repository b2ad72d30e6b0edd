"""Further images that explain the data of a certified one to the same delta, and where they differ."""
