"""Print alerts as they happen, until Ctrl-C; a connection that breaks comes back where it was.

python follow_alerts.py DATA-FOLDER
"""

import contextlib
import sys
from itertools import islice

from serve.client import Client
from serve.schemas.stream import AlertChanged, Gap, NewAlert


def main(data: str, most: str | None = None) -> None:
    with Client.local(data) as client, client.live(["alerts"]) as messages:
        for message in islice(messages, None if most is None else int(most)):
            match message:
                case NewAlert(data=alert):
                    print(
                        f"{alert.priority:8}  {alert.device_id}: {alert.title}; {alert.response}", flush=True
                    )
                case AlertChanged(data=alert):
                    print(f"{alert.state or '?':8}  {alert.device_id}: {alert.title}", flush=True)
                case Gap():
                    standing = sum(1 for _ in client.alerts.all())
                    print(f"{message.missed} messages were missed; {standing} alerts stand", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
