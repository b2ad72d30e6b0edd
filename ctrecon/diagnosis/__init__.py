"""What is wrong with a scan that no image explains: cheap hypotheses, each tried on the data themselves."""
