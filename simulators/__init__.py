"""A fleet of simulated devices, their faults, and the command line that plays them."""
