"""From a scan to an image and its evidence."""
