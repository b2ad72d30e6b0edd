"""Receive studies, reconstruct them, and send the results on."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.dicom_options import connection_of, connection_options
from ctrecon.cli.help import Command
from ctrecon.cli.main import DEBUG


@click.command(
    "listen", cls=Command,
    examples=(
        "ctrecon dicom listen --folder inbox/ --send-to PACS@archive.example:11112",
    ),
)  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=11112, show_default=True, help="0: any free one.")
@click.option("--bind", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address alone.")
@click.option("--folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="The queue's folder.")
@click.option("--send-to", required=True, metavar="TITLE@HOST:PORT", help="Where results go.")
@click.option("--allow", multiple=True, metavar="TITLE", help="Accept this calling AE title alone; may be repeated.")
@click.option("--quiet", "quiet_s", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
              help="A study is complete when its association ended and nothing came for so long.")
@click.option("--instances", type=click.IntRange(min=1), help="A study is complete as soon as it has so many objects.")
@click.option("--command", "command_line", metavar="COMMAND",
              help="Processing of one series, with {input} and {output} for folders. Default: ctrecon reconstruct.")
@click.option("--time-limit", type=click.FloatRange(min=1), default=14400.0, show_default=True, metavar="SECONDS",
              help="For the processing of one series to show no progress: no line printed, no file written.")
@click.option("--max-gb", type=click.FloatRange(min=0.00001), default=64.0, show_default=True,
              help="Most gigabytes in the queue.")
@click.option("--max-studies", type=click.IntRange(min=1), default=100, show_default=True, help="Most waiting studies.")
@click.option("--keep-hours", type=click.FloatRange(min=0), default=24.0, show_default=True,
              help="Keep objects of finished studies so long.")
@click.option("--wait-hours", type=click.FloatRange(min=0), default=24.0, show_default=True,
              help="Wait so long for objects that were refused or broke off; then the study fails.")
@click.option("--commit", is_flag=True, help="Keep results until --send-to has committed itself to them (N-ACTION).")
@click.option("--peer", "peers", multiple=True, metavar="TITLE@HOST:PORT",
              help="A sender that may ask for storage commitment, and where it is told; may be repeated.")
@click.option("--health-port", type=click.IntRange(0, 65535),
              help="Answer /health and /metrics (Prometheus) by HTTP at this port of 127.0.0.1. 0: any free one.")
@click.option("--log", "log_path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Log to this file, which rotates (five are kept). Default: standard error.")
@click.option("--log-size", type=click.FloatRange(min=0.001), default=10.0, show_default=True, metavar="MB",
              help="Size at which the log rotates.")
@click.option("--alert", metavar="COMMAND",
              help="Run this when a study fails, studies pile up or the disk is full, with a JSON object on its input.")
@click.option("--alert-studies", type=click.IntRange(min=1), default=20, show_default=True, help="So many pile up.")
@click.option("--alert-hours", type=click.FloatRange(min=0), default=6.0, show_default=True,
              help="Or one waits so long.")
@connection_options
def command(
    port: int, bind: str, folder: Path, send_to: str, allow: tuple[str, ...], quiet_s: float, instances: int | None,
    command_line: str | None, time_limit: float, max_gb: float, max_studies: int, keep_hours: float, wait_hours: float,
    commit: bool, peers: tuple[str, ...], health_port: int | None, log_path: Path | None, log_size: float,
    alert: str | None, alert_studies: int, alert_hours: float, **options: Any,
) -> None:
    """Receive studies (C-STORE), reconstruct each when it is complete, and send the result on.

    Everything received is kept in the queue's folder until it is delivered, whatever happens to this process; start it
    again with the same folder. SIGTERM and Ctrl-C end it in good order. --credentials: who may call, and who calls on.
    Exit code 0: ended so. 2: bad input, or the port or folder is in use.
    """
    from ctrecon.dicom.network.associate import need_pynetdicom
    from ctrecon.dicom.network.listener import Listener, Rules
    from ctrecon.dicom.network.log import Log
    from ctrecon.dicom.network.node import Node, ae_title
    from ctrecon.dicom.network.process import RECONSTRUCT, Command, words_of
    from ctrecon.dicom.network.queue import Limits, Queue
    from ctrecon.dicom.raw.raw_folder import may_hold_projections

    need_pynetdicom()
    stop = threading.Event()
    debug: bool = click.get_current_context().meta.get(DEBUG, False)
    own = (*RECONSTRUCT, "--debug") if debug else RECONSTRUCT
    words = own if command_line is None else Command.parse(command_line)
    connection, to = connection_of(**options), Node.parse(send_to)
    if connection.tls is not None:
        connection.tls.server()
    # What is received is a patient's: for this user alone.
    os.umask(0o077)
    log = Log(log_path, int(log_size * 1e6))
    queue = Queue(folder, Limits(most_bytes=int(max_gb * 1e9), most_studies=max_studies))
    listener = Listener(
        queue, connection, to, log,
        takes=may_hold_projections if command_line is None else lambda series: True,
        process=Command(words=words, most_seconds=time_limit, stop=stop, lines_kept=60 if debug else 1),
        rules=Rules(
            quiet_s=quiet_s, instances=instances, keep_s=keep_hours * 3600, wait_s=wait_hours * 3600,
            commit=commit, alert_studies=alert_studies, alert_age_s=alert_hours * 3600,
        ),
        allowed=tuple(ae_title(title) for title in allow), stop=stop, debug=debug,
        peers=tuple(map(Node.parse, peers)), alert=() if alert is None else words_of(alert, "--alert"),
        health_port=health_port,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        listener.run(bind, port, started=lambda p: log(f"{connection.title} listens on {bind}:{p}, sends to {to}"))
    finally:
        queue.close()
    log("ended in good order")
