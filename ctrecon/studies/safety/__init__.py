"""The safety bench: which planted lesions survive which method."""
