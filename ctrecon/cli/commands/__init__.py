"""Every command, one a file: to be here is to be a command (``ctrecon/cli/lazy.py``)."""
