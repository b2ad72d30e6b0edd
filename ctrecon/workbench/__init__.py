"""What ``import ctrecon`` offers: one file for each name, joining the rooms below. Commands and programs call this."""
