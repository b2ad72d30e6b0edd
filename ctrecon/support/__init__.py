"""What every room needs: whole-or-nothing writes, devices, threads, scores."""
