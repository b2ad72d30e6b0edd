"""Learned methods of others, trained on the data of ours for the same time, to compare with."""
