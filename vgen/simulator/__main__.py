"""`python -m vgen.simulator`: the simulated cloud as a loopback server. Knows only its arguments."""

import argparse
import ipaddress
import signal
import sys
import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

import trio

from vgen.errors import InputError, ToolMissing
from vgen.media.tools import find_tools
from vgen.providers import has_protocol
from vgen.providers.plugins import BrokenPlugin
from vgen.simulator.app import PARTS, App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import KNOWN, Faults
from vgen.simulator.renderers import animatic_renderer, plain_renderer
from vgen.simulator.server import serve_tcp

BAD_INPUT = 3


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"vgen simulator: {message}\n")


def fault_table() -> str:
    """All faults, one a line."""
    wide = max(map(len, KNOWN))
    return "\n".join(f"  {name:{wide}}  {text}" for name, text in KNOWN.items())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = _Parser(
        prog="python -m vgen.simulator",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"These protocols on loopback: {', '.join(PARTS)}.\nAll money is play money; any key_… will do.",
        epilog="A fault's value: 0.2 (probability), first:3 (the first three), ~TEXT (prompts with TEXT) or\n"
        "first:1~TEXT; a protocol before its name (fal.create_429) confines it to that one.\n\n"
        "faults:\n" + fault_table(),
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    made.add_argument("--port", type=_port, default=8080, help="0: any free one (default: %(default)s)")
    made.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE", help="may be given often")
    made.add_argument("--seed", type=int, default=0, help="of ids and of faults (default: %(default)s)")
    made.add_argument("--queue-s", type=_seconds, default=0.5, help="seconds in the queue (default: %(default)s)")
    made.add_argument("--render-s", type=_seconds, default=2.0, help="seconds of rendering (default: %(default)s)")
    made.add_argument("--concurrency", type=_count, default=5, help="jobs at once per provider (default: %(default)s)")
    made.add_argument("--credits-usd", type=_money, help="what each account holds (default: no end)")
    made.add_argument("--journal", type=Path, metavar="FILE", help="remember jobs in this file")
    made.add_argument("--fast", action="store_true", help="serve placeholder bytes instead of rendered video")
    made.add_argument("--anonymous", action="store_true", help="pass for a real provider (for vgen's own tests only)")
    made.add_argument("--plugin", action="append", default=[], metavar="NAME", help="a protocol of a plug-in, too")
    made.add_argument("--list-faults", action="store_true", help="print the faults and leave")
    made.add_argument("--allow-remote", action="store_true", help="allow a host that others can reach")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run until a signal comes. Returns the exit code."""
    options = parser().parse_args(argv)
    if options.list_faults:
        print(fault_table())
        return 0
    if not options.allow_remote and not is_loopback(options.host):
        return _refuse(f"--host {options.host}: others could reach it; add --allow-remote if they may")
    for name in options.plugin:
        try:
            if not has_protocol(name):
                return _refuse(f"--plugin {name}: no installed package brings it (entry point group vgen.providers)")
        except BrokenPlugin as exc:
            return _refuse(f"--plugin {name}: {exc}")
    if any(text.partition("=")[0].endswith("connect_refused") for text in options.fault):
        return _refuse("fault connect_refused: only the in-process network can refuse; stop the server instead")
    try:
        cloud = Cloud(
            now=time.time,
            faults=Faults(options.fault, options.seed),
            journal=options.journal,
            queue_s=options.queue_s,
            render_s=options.render_s,
            concurrency=options.concurrency,
            seed=options.seed,
            credits_usd=options.credits_usd,
        )
    except InputError as exc:
        return _refuse("; ".join(exc.problems))
    except (ValueError, KeyError, TypeError, OSError) as exc:
        return _refuse(f"--journal {options.journal}: {exc}")
    try:
        renderer = plain_renderer if options.fast else animatic_renderer(find_tools(None, None))
    except ToolMissing as exc:
        return _refuse(f"{exc}; or add --fast")
    problem = trio.run(_serve, App(cloud, renderer, anonymous=options.anonymous), options.host, options.port)
    return _refuse(f"--host {options.host} --port {options.port}: {problem}") if problem else 0


async def _serve(app: App, host: str, port: int) -> str | None:
    """Serve until a signal comes. Returns why it could not, else None."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            try:
                real = await nursery.start(serve_tcp, app, host, port)
            except OSError as exc:
                return exc.strerror or str(exc)
            shown = f"[{host}]" if ":" in host else host
            print(f"vgen simulator: http://{shown}:{real} (all money is play money)", flush=True)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()
    return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse(message: str) -> int:
    print(f"vgen simulator: {message}", file=sys.stderr)
    return BAD_INPUT


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text) if text.replace(".", "", 1).isdecimal() else -1.0
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of jobs: write 1 or more")
    return int(text)


def _money(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of dollars")
    return value


if __name__ == "__main__":
    sys.exit(main())
