"""pushtasks in Flask: settings from its config, pushes by its Celery app, news in its app context.

    from pushtasks.adapters.flask import PushTasks

    push = PushTasks()

    def create_app():
        app = Flask(__name__)
        app.config["PUSHTASKS_APNS__DEFAULT__TOPIC"] = "com.example.app"
        push.init_app(app)
        return app

    @push.token_expired
    def forget(entry): ...                # in a worker, in the app context

In a view, `from pushtasks import send_apns` and `send_apns.delay(token, payload)` do the rest.

Per Flask app there are its settings and its Celery app, so that several in one process do not
meddle with each other. Per process there are connections to providers (each belongs to one Celery
app), Celery's signals, and the app that Celery calls current.
"""

from pushtasks.adapters.flask.extension import PushTasks
from pushtasks.adapters.flask.tasks import context_task

__all__ = ["PushTasks", "context_task"]
