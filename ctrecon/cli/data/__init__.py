"""The commands of ``ctrecon data``, one a file."""
