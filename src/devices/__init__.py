"""Device kinds: what each measures, how it fails, and the rules it is judged by unless told otherwise."""
