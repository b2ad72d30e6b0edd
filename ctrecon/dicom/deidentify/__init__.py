"""De-identification after the basic profile of PS3.15."""
