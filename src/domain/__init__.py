"""The nouns of the service: readings, devices, rules' findings, alerts, tickets, errors and the clock."""
