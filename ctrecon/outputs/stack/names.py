"""Names within a stack."""

EVIDENCE = "evidence"
"""The folder of certificates and data, within a store; the end of its name beside a file."""
