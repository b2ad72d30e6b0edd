"""Super-resolution: a picture enlarged so that pooled again it is the given one."""
