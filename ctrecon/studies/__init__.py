"""What was measured of the methods themselves: tables, the paper's figures, safety."""
