"""List the devices that fare worst, and acknowledge what stands of their alerts.

    python worst_devices.py DATA-FOLDER

On another machine: `Client.log_in("https://twinfold.example", "ann", "password")` in place of `Client.local(…)`.
"""

import sys
from itertools import islice

from serve.client import Client


def main(data: str, most: str = "10") -> None:
    with Client.local(data) as client:
        worst = list(islice(client.devices.all("health < 80", sort="health"), int(most)))
        for device in worst:
            print(f"{device.health:5.1f}  {device.id}  {device.site}  {', '.join(device.patterns)}")
        alerts = (
            list(client.alerts.all(state=["UNACK"], device=[device.id for device in worst])) if worst else []
        )
        if alerts:
            done = client.alerts.do_all("acknowledge", [alert.id for alert in alerts], note="on the list")
            print(f"{done.done} of {done.matched} alerts acknowledged")


if __name__ == "__main__":
    main(*sys.argv[1:])
