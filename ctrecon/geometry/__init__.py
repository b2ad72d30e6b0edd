"""Where source, detector and image stand. One geometry a file; ``base.py`` says what each must have."""
