"""The tables of "Controlling Neural Networks via Energy Dissipation", computed anew."""
