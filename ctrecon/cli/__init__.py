"""The command line: one command per file, each a thin layer over one call of the library."""
