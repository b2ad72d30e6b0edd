"""A stack of slices as one job: planned, done batch by batch in one process or many, written, checked."""
