"""CT images in: series, frames and stacks."""
