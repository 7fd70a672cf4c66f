"""The rows of the page's tables and lists, as text. Pure."""
