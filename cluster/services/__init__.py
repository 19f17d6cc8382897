"""The platform's own actors beside the shards: recorder, notifier, jobs, MQTT bridge, and the devices that are simulated.

Each module gives a plain class a process that Ray restarts; what it does stands elsewhere (``training/recorder.py``,
``cluster/traffic.py``). A process loads only its own module: what all of them need together takes seconds to import.
"""
