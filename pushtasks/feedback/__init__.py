"""What providers told about devices, for a Django or Flask app to read.

    for entry in (batch := feedback.read("billing")):
        if feedback.still_dead(entry, registered_at): ...
    batch.ack()

Each reader gives its group a name of its own, and gets every entry at least once: what it has read
and not acknowledged comes again.
"""

from pushtasks.feedback.reading import Batch, forget, read, still_dead
from pushtasks.news import Entry, Kind
from pushtasks.store import StoreUnavailable

__all__ = ["Batch", "Entry", "Kind", "StoreUnavailable", "forget", "read", "still_dead"]
