"""Phones, whose they are, and a page to push to them."""
