"""The protocol of LoDoPaB-CT: on the set itself, and on other slices brought to it."""
