"""The page."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from phones import devices
from phones.push import TASKS, send
from pushtasks import InvalidPush
from pushtasks.masking import mask

blueprint = Blueprint("page", __name__)
blueprint.add_app_template_filter(mask)


@blueprint.before_request
def refuse_other_sites() -> None:
    """Take forms of this page only."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site") == "cross-site":
        abort(403)


@blueprint.get("/")
def index() -> str:
    """Show all devices."""
    return render_template("page.html", devices=devices.every())


@blueprint.post("/devices")
def register() -> Response:
    """Take a device in."""
    provider, token = request.form["provider"], request.form["token"].strip()
    if provider not in TASKS or not token:
        flash("A device has a provider and a token.")
    else:
        devices.register(provider, token)
    return redirect(url_for("page.index"))


@blueprint.post("/devices/<int:device_id>/push")
def push(device_id: int) -> Response:
    """Push a text to a device."""
    device = devices.get(device_id)
    if device is None or not device.is_active:
        abort(404)
    try:
        send(device, request.form["text"])
    except InvalidPush as error:
        flash(str(error))
    return redirect(url_for("page.index"))
