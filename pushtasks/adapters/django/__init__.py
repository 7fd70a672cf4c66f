"""pushtasks at home in Django: settings checked, tokens kept up to date, pushes to querysets.

    INSTALLED_APPS = [..., "pushtasks.adapters.django"]

- `models.Device`: an abstract model of a device, with `objects.register(…)` and `filter(…).push(…)`
- `signals`: Django signals of dead tokens, replaced tokens and late rejections
- `admin.DeviceAdmin`: tokens masked, and an action that sends a push
- `manage.py push` and `manage.py push_feedback`

Of these only what is used is imported: a project without device models has no table of ours.
"""
