"""Physics: what a healthy device measures, as pure functions of the city, the device, the seed and the time."""
