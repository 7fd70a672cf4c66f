"""The edges, where pushtasks meets people and other software. The core knows none of it."""
