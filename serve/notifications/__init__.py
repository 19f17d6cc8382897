"""Alerts reach people who are not looking: routes, escalation, delivery; follows events, never misses one.

``following`` reads alert events out of every journal and gives them to the ``desk``, which keeps in the relational database
who is to be told of what and when (``routing``, ``pacing``), and makes deliveries of what is due (``messages``). The
``notifier`` hands those to ``receivers``, a thread a channel. ``book`` holds what people set up: channels and routes.
"""
