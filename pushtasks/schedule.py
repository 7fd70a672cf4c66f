"""What beat has to do: poll feedback once a day, and look after fan-outs.

The ready-made app has it built in. An app of your own adds it to its settings:

    app.conf.beat_schedule = {**beat_schedule(app), "theirs": …}
"""

from typing import Any, Final

from celery import Celery
from celery.schedules import crontab

from pushtasks.config import current_settings
from pushtasks.host import current_app

#: The tasks, and the entries' names: an entry of this name in your own schedule takes its place.
POLL: Final = "pushtasks.poll_feedback"
MEND: Final = "pushtasks.mend_fanouts"
#: Seconds between two looks after fan-outs; a look that no worker has taken is dropped then.
MEND_EVERY: Final = 60.0
#: Seconds within which a second beat's call is the same occasion as the first's; and the time after
#: which a call that no worker has taken is dropped, since another will come.
OCCASION: Final = 12 * 60 * 60

Schedule = dict[str, dict[str, Any]]


def beat_schedule(app: Celery | None = None) -> Schedule:
    """Return the entries for Celery's setting `beat_schedule`.

    Any number of beats may have them: feedback is polled once for each occasion, and to look after
    fan-outs twice does no harm.

    Args:
        app: Whose settings say at what time (`feedback.poll_at`); None: the current app's.

    Raises:
        InvalidSettings: The settings are wrong.
    """
    return schedule(current_settings(app or current_app()).feedback.poll_at)


def schedule(poll_at: str) -> Schedule:
    """Return the entries, with a poll at a time of day, `HH:MM`, in Celery's time zone."""
    hour, minute = poll_at.split(":")
    return {
        POLL: {
            "task": POLL,
            "schedule": crontab(hour=int(hour), minute=int(minute)),
            "kwargs": {"_once_within": OCCASION},
            "options": {"expires": OCCASION},
        },
        MEND: {"task": MEND, "schedule": MEND_EVERY, "options": {"expires": MEND_EVERY}},
    }
