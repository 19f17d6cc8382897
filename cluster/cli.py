"""``twinfold …``: names the work, shows its progress, says what went wrong. No logic of its own."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cluster import (
    cli_accounts,
    cli_backtest,
    cli_device,
    cli_devices,
    cli_jobs,
    cli_key,
    cli_models,
    cli_notify,
    cli_rehearse,
    cli_templates,
    cli_train,
    cli_types,
    cli_whatif,
)
from cluster.compiled import use_kernel_cache
from cluster.terminal import AsJson, Data, instant
from cluster.terminal import bar as _bar
from cluster.terminal import err as _err
from cluster.terminal import out as _out
from cluster.terminal import print_rows as _print_rows
from cluster.terminal import say as _say
from cluster.terminal import settings_of as _settings
from cluster.terminal import steps as _steps
from twins.errors import FleetError

if TYPE_CHECKING:
    from training.history import History

_LOOK_EVERY_S: Final = 1.0

app = typer.Typer(
    name="twinfold",
    help="Live digital twins for IoT fleets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

app.add_typer(cli_types.app)
app.add_typer(cli_accounts.users)
app.add_typer(cli_accounts.keys)
app.add_typer(cli_key.app)
app.add_typer(cli_jobs.app)
app.add_typer(cli_models.app)
app.add_typer(cli_notify.app)
app.add_typer(cli_device.app)
app.add_typer(cli_devices.app)
app.add_typer(cli_templates.app)
app.command()(cli_rehearse.rehearse)
app.command()(cli_whatif.whatif)
app.command()(cli_train.train)
app.command()(cli_train.predict)
app.command()(cli_backtest.backtest)


def main() -> None:
    """Run the command; a failure the platform knows is one line and exit status 1."""
    use_kernel_cache()
    try:
        app()
    except FleetError as error:
        if "--json" in sys.argv:
            print(json.dumps({"error": {"code": error.code, "detail": str(error)}}))
        else:
            _err.print(f"[bold]twinfold:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


# -- the platform --------------------------------------------------------------------------------------------------


@app.command()
def up(
    data: Data = None,
    port: Annotated[int | None, typer.Option(help="Port of REST, WebSocket and the app.")] = None,
    hosts: Annotated[int | None, typer.Option(help="Shard actors; one a core by default.")] = None,
    address: Annotated[str | None, typer.Option(help="Join this running Ray cluster.")] = None,
    simulate: Annotated[
        Path | None, typer.Option(help="Fleet file of simulated devices to start with.")
    ] = None,
    recorded: Annotated[
        Path | None, typer.Option(help="Mapping of a recorded set to play back live.")
    ] = None,
    recorded_files: Annotated[str | None, typer.Option(help="Its files, separated by commas.")] = None,
    types: Annotated[Path | None, typer.Option(help="Folder with device types of your own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the platform in the foreground, until Ctrl-C or SIGTERM; if Ray dies under it, it starts again."""
    from cluster.bringup import Platform

    settings = _settings(
        {
            "data": data, "api.port": port, "fleet.hosts": hosts, "ray.address": address,
            "simulator.fleet": simulate, "simulator.recorded": recorded,
            "simulator.recorded_files": recorded_files, "types": types,
        }
    )  # fmt: skip
    environment = dict(os.environ)  # before Ray adds to it
    enough = threading.Event()
    lost = ""
    began = time.monotonic()
    platform = Platform(settings, _steps(as_json))
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # while it starts: give up, and take down what is up
    platform.start()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # after Ray, which sets its own
            signal.signal(number, lambda *_: enough.set())
        if as_json:
            about = {"url": platform.url, "data": str(platform.data), "notices": platform.notices}
            if platform.first_login:
                about["admin"], about["password"] = platform.first_login
            print(json.dumps(about), flush=True)
        else:
            _out.print(f"\n  Twinfold is up after {time.monotonic() - began:.0f} s")
            _out.print(f"  address   {platform.url}", highlight=False)
            _out.print(f"  data      {platform.data}", highlight=False)
            if platform.first_login:
                name, password = platform.first_login
                _out.print(
                    f"  log in    as {name} with {password} (for one use)", highlight=False, markup=False
                )
            for notice in platform.notices:
                _out.print(f"  note      {notice}", highlight=False, markup=False)
            _out.print("  stop      Ctrl-C\n", highlight=False)
        while not (lost := platform.lost()) and not enough.wait(_LOOK_EVERY_S):
            pass
    finally:
        if not lost:
            platform.stop()
    if lost:
        _err.print(f"{lost} has ended, and with it everything here; starting again", highlight=False)
        platform.start_again(lost, environment)


@app.command()
def node(
    data: Data = None,
    address: Annotated[str, typer.Option(help="Cluster to join; left out: start one.")] = "",
    port: Annotated[int, typer.Option(help="Port of the cluster that is started.")] = 6379,
    ip: Annotated[str, typer.Option(help="Address of this machine, as the other nodes reach it.")] = "",
    token: Annotated[Path | None, typer.Option(help="The cluster's ray-token, copied from its head.")] = None,
) -> None:
    """Run a node of a Ray cluster on this machine, with this data folder for its share of the twins, until Ctrl-C.

    The first one, without --address, is the head; run `twinfold up --address` beside it, with the same data folder.
    """
    from cluster.bringup import run_node

    run_node(_settings({"data": data}), address, port, ip, token)


@app.command()
def simulate(
    fleet: Annotated[Path, typer.Argument(help="Fleet file, as in examples/fleets/.")],
    data: Data = None,
    backfill_s: Annotated[float, typer.Option(help="How much of the past is told first, s.")] = 2400.0,
    over: Annotated[
        str, typer.Option(help="Way in: fleet (inside the cluster), http, websocket, mqtt or sparkplug.")
    ] = "fleet",
    form: Annotated[
        str, typer.Option("--format", help="Of http and websocket: json, ndjson, arrow.")
    ] = "json",
    pack: Annotated[str, typer.Option(help="Of http: none, gzip, zstd.")] = "none",
    url: Annotated[str, typer.Option(help="Platform to send to; left out: the one on the data folder.")] = "",
    key: Annotated[str, typer.Option(envvar="TWINFOLD_KEY", help="Device key to send with.")] = "",
    broker: Annotated[str, typer.Option(help="Of mqtt and sparkplug; left out: mqtt.url.")] = "",
) -> None:
    """Drive simulated devices into a running platform until Ctrl-C: from inside, or over the network as a gateway does.

    As a gateway it first registers its devices where the platform runs on the data folder; elsewhere they must be known,
    or come in by a template.
    """
    settings = _settings({"data": data})
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    failed: list[Exception] = []

    def give_up(error: Exception) -> None:
        failed.append(error)
        stop.set()

    if over != "fleet":
        from cluster.gateways import GatewayOptions, gateway, told
        from cluster.traffic import drive

        options = GatewayOptions(over, form, pack, url, key, broker, backfill_s)
        traffic, way = gateway(fleet, settings, options, stop)
        _err.print(f"{fleet} is being played over {over}; Ctrl-C ends it", highlight=False)
        drive([traffic], stop, give_up)
        _err.print(told(way.sent), highlight=False)
    else:
        from cluster.bringup import join_running

        with join_running(settings.data) as joined:
            from cluster.traffic import SimulatedTraffic, drive

            folder = settings.data / "simulator" / fleet.stem
            inside = SimulatedTraffic(joined, fleet, folder, stop, backfill_s)
            _err.print(f"{fleet} is being played; Ctrl-C ends it", highlight=False)
            drive([inside], stop, give_up)
    if failed:
        raise failed[0]


@app.command()
def down(data: Data = None, as_json: AsJson = False) -> None:
    """Stop the platform that runs on this data folder, and wait until it has."""
    from cluster.bringup import holder, running

    settings = _settings({"data": data})
    info = running(settings.data)
    if info is None:
        _say({"stopped": False}, as_json, "nothing runs on this data folder")
        return
    os.kill(info.pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while holder(settings.data) is not None and time.monotonic() < deadline:
        time.sleep(0.2)
    stopped = holder(settings.data) is None
    _say({"stopped": stopped}, as_json, "stopped" if stopped else f"process {info.pid} is still going down")


@app.command()
def status(data: Data = None, as_json: AsJson = False) -> None:
    """Say what runs, how far behind it is, and what is degraded."""
    from cluster.diagnosis import status_of

    found = status_of(_settings({"data": data}).data)
    if as_json:
        print(json.dumps(found))
        return
    if not found["running"]:
        _out.print("nothing runs on this data folder; start it with `twinfold up`")
        raise typer.Exit(1)
    _out.print(f"running at {found['url']} for {found['up_s']:.0f} s", highlight=False)
    _print_rows(found["hosts"])
    if (system := found["system"]) is not None:
        parts = [*system["services"], *system["applications"]]
        _print_rows([{name: part[name] for name in ("name", "state", "reason")} for part in parts])
        free_gb, stored_gb = (
            system["storage"]["free_bytes"] / 1e9,
            sum(table["bytes"] for table in system["storage"]["tables"]) / 1e9,
        )
        sealed = "encrypted" if system["encrypted"] else "not encrypted"
        _out.print(f"history {stored_gb:.2f} GB, {sealed}; {free_gb:.0f} GB free", highlight=False)


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Look for what is exposed, missing or misconfigured; exit status 1 if something must be mended."""
    from cluster.diagnosis import examine

    findings = examine(_settings({"data": data}))
    if as_json:
        print(json.dumps([finding.as_json() for finding in findings]))
    else:
        marks = {"ok": "  ok   ", "warning": "[yellow]warning[/]", "failure": "[red]failure[/]"}
        for finding in findings:
            _out.print(f"{marks[finding.level]}  {finding.subject}: {finding.detail}", highlight=False)
            if finding.remedy:
                _out.print(f"         {finding.remedy}", highlight=False)
    if any(finding.level == "failure" for finding in findings):
        raise typer.Exit(1)


@app.command()
def settings(data: Data = None, as_json: AsJson = False) -> None:
    """Print every setting in force and where its value came from."""
    from cluster.settings import load_with_sources, names, shown

    found, sources = load_with_sources({"data": str(data) if data else None})
    rows = [
        {"name": name, "value": shown(found, name), "from": sources[name], "description": description}
        for name, description in names()
    ]
    _print_rows(rows, as_json)


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(help="New folder for the backup.")],
    before: Annotated[
        Path | None,
        typer.Option(help="An earlier backup on the same disk: what did not change is shared with it."),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take a backup of the whole platform, whether it runs or not: history, twins, accounts, rules, keys."""
    from cluster.backup import take
    from serve.database import Database

    found = _settings({"data": data})
    database = Database(found.database_config())
    try:
        summary = take(found.data, database, to, before, _steps(as_json))
    finally:
        database.close()
    _say(summary.as_json(), as_json, summary.as_text())


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="Folder of a backup.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild a platform from a backup, in a new data folder and an empty database; then start it with `twinfold up`."""
    from cluster.backup import restore as rebuild
    from serve.config import database_config
    from serve.database import Database

    found = _settings({"data": data})
    url = found.database.url.get_secret_value()
    summary = rebuild(
        source, found.data, lambda folder: Database(database_config(url, folder)), _steps(as_json)
    )
    _say(summary.as_json(), as_json, summary.as_text())


# -- readings ------------------------------------------------------------------------------------------------------


@app.command()
def replay(
    mapping: Annotated[Path, typer.Argument(help="How to read the files.")],
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files.")],
    out: Annotated[Path, typer.Option(help="Folder for readings.parquet and events.parquet.")],
    as_json: AsJson = False,
) -> None:
    """Run files through twins on a virtual clock and write what they made of each reading."""
    from training.importing import replay as run

    with _bar(f"replaying {mapping.name}") as show:
        report = run(mapping, files, out, progress=lambda so_far, share: show(share, f"{so_far.rows:,} rows"))
    _say(report.as_json(), as_json, report.as_text())


@app.command(name="import")
def import_(
    mapping: Annotated[Path, typer.Argument(help="How to read the files.")],
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files.")],
    data: Data = None,
    live: Annotated[
        bool, typer.Option("--live", help="Let the devices live on, instead of retiring them.")
    ] = False,
    wait: Annotated[
        bool, typer.Option(help="Where a platform runs: follow the job until it has ended.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Take files into history, through the twins, each device in its own past; nobody is notified.

    Where a platform runs on the data folder it does so as a job, beside everything else; see `twinfold jobs`.
    """
    from cluster.bringup import DataFolder, running
    from training.importing import Summary, checked, import_files

    found = _settings({"data": data})
    folder = found.data
    if running(folder) is None:
        from cluster.encryption import begin

        with DataFolder(folder), _bar(f"importing {mapping.name}") as show:
            begin(found, folder)
            report = import_files(
                mapping,
                files,
                folder,
                live=live,
                progress=lambda so_far, share: show(share, f"{so_far.rows:,} rows"),
            )
    else:
        checked(mapping, files)  # here, where the words can name the folders
        with cli_jobs.connected(folder) as client:
            job = client.jobs.begin_import(mapping, files, live)
            if not wait:
                _say(job.model_dump(), as_json, f"{job.id} begins; `twinfold jobs follow {job.id}`")
                return
            report = Summary.from_json(cli_jobs.followed(client, job.id).result or {})
    _say(report.as_json(), as_json, report.as_text())


@app.command()
def twin(
    device: Annotated[str, typer.Argument(help="Id of the device.")],
    at: Annotated[
        str | None, typer.Option(help="As of this moment, ISO 8601 with a time zone; none: now.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that is known of a device, now or as of a past moment; needs no running platform."""
    from training.past import Past
    from training.recorder import journals_in

    at_us = int(time.time() * 1e6) if at is None else instant(at)
    folder = _settings({"data": data}).data
    found, _ = Past(folder / "history", journals_in(folder / "hosts")).twin(device, at_us)
    if as_json:
        print(json.dumps(found))
        return
    health = "not known yet" if found["health"] is None else f"{found['health']:.0f} of 100"
    _out.print(f"{found['id']} ({found['type']}), {found['status']}, health {health}", highlight=False)
    _print_rows(
        [
            {"channel": name, "value": each["value"], "unit": each["unit"], "quality": each["quality"]}
            for name, each in found["values"].items()
        ]
    )
    for alert in found["alerts"]:
        _out.print(f"{alert['priority']}  {alert['rule']}: {alert['state']}", highlight=False)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL over live, readings_<type>, events, condition, …")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask history and the live fleet in SQL, up to what was acknowledged last: local and trusted, with all DuckDB can do.

    `live` has one line a device, `live_<type>` its channels as well. No platform has to run.
    """
    with _asking(_settings({"data": data}).data) as history:
        if sql.strip().rstrip(";").lower() == "show tables":
            _print_rows([{"table": name} for name in history.tables()], as_json)
            return
        table = history.query(sql)
    _print_rows(table.to_pylist(), as_json)


@app.command()
def export(
    to: Annotated[Path, typer.Argument(help="New file: Parquet, or CSV if it is called .csv.")],
    sql: Annotated[str, typer.Argument(help="DuckDB SQL, as `twinfold query` takes it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write the answer to a question into a plain file for other tools, also where history is encrypted."""
    from training.errors import QueryError

    if to.exists():
        raise QueryError(f"{to} is there already", "name a new file")
    to.parent.mkdir(parents=True, exist_ok=True)
    with _asking(_settings({"data": data}).data) as history:
        rows = history.export(sql, to)
    _say({"rows": rows, "path": str(to)}, as_json, f"{rows:,} rows in {to}, plain")


@contextmanager
def _asking(folder: Path) -> "Iterator[History]":
    """History and the live fleet of a data folder; what DuckDB refuses is told with the tables that there are."""
    import duckdb

    from training.errors import QueryError
    from training.history import History
    from training.recorder import journals_in

    if not (folder / "history").is_dir() and not (folder / "hosts").is_dir():
        raise QueryError(f"there is no history under {folder}", "name the data folder with --data")
    hosts = folder / "hosts"
    with History(folder / "history", journals_in(hosts), hosts=hosts) as history:
        try:
            yield history
        except duckdb.Error as error:
            problem = str(error).splitlines()[0]
            raise QueryError(problem, f"the tables are {', '.join(history.tables())}") from error
