"""One page: register a phone, push to it, see what became of both."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from phones.forms import PushForm, RegisterForm
from phones.models import Phone
from pushtasks import InvalidPush, PushError, fanout


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Show the phones, and how the pushes stand that were sent last."""
    return _page(request)


@require_POST
def register(request: HttpRequest) -> HttpResponse:
    """Take what a phone tells; the same token again is the same phone."""
    form = RegisterForm(request.POST)
    if not form.is_valid():
        return _page(request, register=form)
    Phone.objects.register(**form.cleaned_data)
    return redirect("index")


@require_POST
def push(request: HttpRequest) -> HttpResponse:
    """Send a text to all active phones of an owner, once the transaction is committed."""
    form = PushForm(request.POST)
    if not form.is_valid():
        return _page(request, push=form)
    phones = Phone.objects.filter(owner=form.cleaned_data["to"])
    try:
        phones.push_on_commit(form.cleaned_data["text"])
    except InvalidPush as error:
        form.add_error("text", str(error))
        return _page(request, push=form)
    return redirect("index")


def _page(request: HttpRequest, **forms: object) -> HttpResponse:
    phones = Phone.objects.order_by("-registered_at")[:100]
    shown = {"register": RegisterForm(), "push": PushForm(), **forms}
    return render(request, "phones/index.html", {"phones": phones, "pushes": _pushes(), **shown})


def _pushes() -> list[fanout.Fanout]:
    try:
        return fanout.recent(5)
    except PushError:  # Redis is away
        return []
