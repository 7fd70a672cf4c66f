"""What beat has to do: poll feedback once a day.

The ready-made app has it built in. An app of your own adds it to its settings:

    app.conf.beat_schedule = {**beat_schedule(app), "theirs": …}
"""

from typing import Any, Final

from celery import Celery
from celery.schedules import crontab

from pushtasks.config import current_settings
from pushtasks.host import current_app

#: The task, and the entry's name: an entry of this name in your own schedule takes its place.
POLL: Final = "pushtasks.poll_feedback"
#: Seconds within which a second beat's call is the same occasion as the first's; and the time after
#: which a call that no worker has taken is dropped, since another will come.
OCCASION: Final = 12 * 60 * 60

Schedule = dict[str, dict[str, Any]]


def beat_schedule(app: Celery | None = None) -> Schedule:
    """Return the entries for Celery's setting `beat_schedule`.

    Any number of beats may have them: the task is done once for each occasion.

    Args:
        app: Whose settings say at what time (`feedback.poll_at`); None: the current app's.

    Raises:
        InvalidSettings: The settings are wrong.
    """
    return daily_poll(current_settings(app or current_app()).feedback.poll_at)


def daily_poll(poll_at: str) -> Schedule:
    """Return the entries for a time of day, `HH:MM`, in Celery's time zone."""
    hour, minute = poll_at.split(":")
    return {
        POLL: {
            "task": POLL,
            "schedule": crontab(hour=int(hour), minute=int(minute)),
            "kwargs": {"_once_within": OCCASION},
            "options": {"expires": OCCASION},
        }
    }
