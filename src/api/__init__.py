"""HTTP: what the service tells and takes over the network."""
