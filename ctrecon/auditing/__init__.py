"""What all images that explain a scan have in common."""
