"""A page on which a phone registers and a text is pushed to it."""

from flask import Flask

from phones import page
from phones.celery import celery_init_app
from phones.push import push


def create_app() -> Flask:
    """Return the app, complete."""
    app = Flask(__name__)
    app.config.from_object("phones.config")
    app.config.from_prefixed_env()
    celery_init_app(app)
    push.init_app(app)
    app.register_blueprint(page.blueprint)
    return app
