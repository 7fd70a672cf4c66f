"""One try of a task: its arguments, the pushes that they make, and what becomes of these."""
