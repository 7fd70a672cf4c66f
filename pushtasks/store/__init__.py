"""Everything that is kept in Redis: reports, news about devices, known-dead tokens, locks."""

from pushtasks.store.connection import StoreUnavailable
from pushtasks.store.current import current_store
from pushtasks.store.groups import Group
from pushtasks.store.store import Store
from pushtasks.store.tallies import Noted

__all__ = ["Group", "Noted", "Store", "StoreUnavailable", "current_store"]
