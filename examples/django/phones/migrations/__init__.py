"""Migrations of phones."""
