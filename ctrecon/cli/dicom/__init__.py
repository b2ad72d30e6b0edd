"""The commands of ``ctrecon dicom``, one a file."""
