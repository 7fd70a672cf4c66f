"""Pushes by HTTP: a Flask application, and a Blueprint to mount into another.

from pushtasks.adapters.http import create_app

app = create_app()
"""

from pushtasks.adapters.http.app import create_app, make_blueprint
from pushtasks.adapters.http.state import Options, Service, current_service

__all__ = ["Options", "Service", "create_app", "current_service", "make_blueprint"]
