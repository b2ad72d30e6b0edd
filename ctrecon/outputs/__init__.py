"""The files a reconstruction leaves: image, certificate, picture, history, or a DICOM series."""
