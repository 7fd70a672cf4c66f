"""Takes entries from a Redis list, as gapless did, and hands them to workers as tasks.

`gapless` reads gapless's settings, `entries` one entry of the list. `taking` has entries in a list
of this relay's own until they are in the broker, `publishing` brings them there in batches, and
`relay` is the loop around both. `standalone` is what gapless's settings alone ask for: a worker of
the relay's own, kept running by `own_worker`.
"""
