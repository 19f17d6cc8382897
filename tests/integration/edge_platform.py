"""A small platform for tests of the real edge: shards in Ray actors, Serve in front. Ends when stdin does.

Run as ``python edge_platform.py FOLDER PORT``; prints one line when it is up, with the local token. A line of device ids on
stdin registers pumps past the edge, by which hosts are added; the answer is a line with how many hosts there are.
"""

import sys
from pathlib import Path

FOLDER, PORT = Path(sys.argv[1]), int(sys.argv[2])


def main() -> None:
    import ray

    from serve.access import FOLDER as SECRETS
    from serve.access import LOCAL_FILE, LocalToken
    from serve.config import ApiConfig, database_config
    from serve.database import Database
    from serve.deployments import run_applications, stop_applications
    from tests.serve.edges import DEVICES, METER, PUMP
    from twins.devices import Device
    from twins.fleet import FleetConfig
    from twins.ray_fleet import RayFleet

    ray.init(
        address="local", include_dashboard=False, num_cpus=2, object_store_memory=200 << 20,
        _node_ip_address="127.0.0.1", _temp_dir=str(FOLDER / "ray"), log_to_driver=False,
        logging_level="warning",
    )  # fmt: skip
    config = FleetConfig(hosts=2, twins_per_host=len(DEVICES))
    fleet = RayFleet(FOLDER / "data" / "hosts", config, create=True)
    fleet.install(PUMP)
    fleet.install(METER)
    fleet.register(DEVICES)
    database = database_config("", FOLDER / "data")
    Database(database).migrate()
    token = LocalToken(FOLDER / "data" / SECRETS / LOCAL_FILE).renew()
    run_applications(FOLDER / "data", "127.0.0.1", PORT, ApiConfig(), database)
    print(f"up {token}", flush=True)
    for line in sys.stdin:
        fleet.register([Device(device_id, "pump", site="oslo") for device_id in line.split()])
        print(len(fleet.actors()), flush=True)
    stop_applications()
    fleet.close()
    ray.shutdown()


if __name__ == "__main__":
    main()
