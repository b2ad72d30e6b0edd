"""The commands of ``ctrecon reproduce``, one a file."""
