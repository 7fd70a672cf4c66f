"""Pure: tables within tables, as settings are written."""

from collections.abc import Mapping
from typing import Any


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested tables as one; where both have a value, `upper` holds."""
    result = dict(lower)
    for key, value in upper.items():
        below: Any = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both else value
    return result
