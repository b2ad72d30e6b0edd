"""What all of DICOM needs: files, structure, pixels, Hounsfield units, identifiers."""
