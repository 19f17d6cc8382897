"""One router per noun. They are thin: read the request, ask, present."""

from typing import Final

from serve.routes import (
    accounts,
    alerts,
    device_commands,
    device_socket,
    devices,
    downlink,
    fleet,
    history,
    jobs,
    keys,
    live,
    maintenance,
    models,
    notifications,
    platform,
    preferences,
    readings,
    recommendations,
    rehearsals,
    templates,
    types,
    whatif,
)

ROUTERS: Final = (  # a path of its own goes before the ids that could look like it
    readings.ingest,  # asked most, so found first
    platform.router,
    accounts.router,
    preferences.router,
    keys.router,
    templates.router,
    notifications.router,
    types.router,
    rehearsals.router,
    models.router,
    jobs.router,
    whatif.router,
    fleet.router,
    readings.router,
    device_socket.router,
    history.router,
    maintenance.router,
    recommendations.router,
    alerts.router,
    device_commands.router,
    downlink.router,
    devices.router,
    live.router,
)
