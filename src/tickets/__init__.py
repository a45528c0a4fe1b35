"""The closed loop: what becomes of an alert as a case or an order."""
