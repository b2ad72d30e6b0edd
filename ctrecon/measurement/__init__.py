"""What was measured: the scan, its noise, and how far an image may miss it."""
