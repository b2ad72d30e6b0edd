"""A stack of certified slices as one volume on disk, with its evidence and a manifest that ties them together."""
