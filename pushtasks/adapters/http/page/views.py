"""The page at `/`, and the forms on it."""

from datetime import UTC, datetime
from typing import Final

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from pushtasks import fanout
from pushtasks.adapters.http.bodies import read_form
from pushtasks.adapters.http.page.model import page_of
from pushtasks.adapters.http.page.reading import SECRET, read
from pushtasks.adapters.http.page.seals import cancelling, is_genuine
from pushtasks.adapters.http.state import current_service
from pushtasks.errors import InvalidPush, InvalidSettings
from pushtasks.store import StoreUnavailable

#: Nothing from elsewhere, nothing inline, in nobody's frame.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_blueprint() -> Blueprint:
    """Make the views of the page, to register under the blueprint of all HTTP views."""
    blueprint = Blueprint(
        "page",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/page",
    )
    blueprint.get("/")(index)
    blueprint.post("/fanouts/<id_>/cancel")(cancel)
    blueprint.after_request(_protect)
    return blueprint


def index() -> Response:
    """Show everything."""
    return _show()


def cancel(id_: str) -> BaseResponse:
    """End a fan-out for good, and show the page again."""
    service = current_service()
    form = read_form(request, service.options.body_limit)
    try:
        secret = service.store().secret(SECRET)
        if not is_genuine(form.get("seal", ""), secret, cancelling(id_)):
            return _show("This form is not of this page: load it anew, and try again", 403)
        fanout.cancel(id_, celery_app=service.celery_app)
    except InvalidPush as error:
        return _show(str(error), 409)
    except (InvalidSettings, StoreUnavailable) as error:
        return _show(str(error), 503)
    return redirect(url_for(".index", _anchor=f"fanout-{id_}"), 303)


def _show(refusal: str = "", status: int = 200) -> Response:
    """Write the page down; with 503 if Redis cannot be read.

    Args:
        refusal: Why a form has changed nothing.
        status: What goes with that.
    """
    page = page_of(read(current_service(), datetime.now(UTC)))
    text = render_template("pushtasks/page.html", page=page, refusal=refusal)
    return make_response(text, status if refusal or page.is_readable else 503)


def _protect(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
