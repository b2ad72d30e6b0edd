"""The desk: a page on this machine alone that lists a folder's scans and images, compares them and plays slices."""
