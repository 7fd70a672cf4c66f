"""What a worker does with a chunk of a fan-out: `sending` begins, and notes what comes of it."""
