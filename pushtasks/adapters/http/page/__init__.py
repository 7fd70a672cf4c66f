"""The page of the HTTP service: what goes on, at a glance, for an operator."""

from pushtasks.adapters.http.page.views import make_blueprint

__all__ = ["make_blueprint"]
