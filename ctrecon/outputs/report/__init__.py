"""One self-contained page about a reconstruction: read the files, say what they prove, draw, write."""
