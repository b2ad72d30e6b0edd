"""DICOM: objects in and out, and the nodes of a hospital's network."""
