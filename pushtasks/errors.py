"""Our exceptions, one small tree.

    PushError
    ├── InvalidPush         a caller's mistake: token, payload, option (a ValueError too)
    ├── InvalidSettings     an operator's mistake: settings, keys, certificates (a ValueError too)
    ├── PushNotSent         a task gave up: the provider never took the push
    ├── PushMaybeSent       a task gave up: the provider may have taken the push, its answer is lost
    └── PollFailed          a task gave up: no app's feedback could be polled

A provider's rejection is no exception but a result. Each of these takes its message as its only
argument, since Celery rebuilds an exception from `type(error)(*error.args)`.
"""


class PushError(Exception):
    """Anything that pushtasks raises on purpose."""


class InvalidPush(PushError, ValueError):
    """An argument of a push cannot be sent: the message names it, the rule and the way out."""


class InvalidSettings(PushError, ValueError):
    """A setting, key or certificate cannot be used; the message names it and the way out."""


class PushNotSent(PushError):
    """All attempts are used up and none reached the provider, or it took none; the last reason."""


class PushMaybeSent(PushError):
    """The push went out, its answer never came, and it is not to be sent again."""


class PollFailed(PushError):
    """Of no app could be learnt which devices have gone; the message says why of each."""
