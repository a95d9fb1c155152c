"""docs/how-to/cluster.md, word for word: three worker machines and a head, each in a network namespace of its own.

One worker is started as the page says for a shell, one as its systemd unit says, one as its compose file says.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workshop import ROOT, RUN_S, clean_environment

from scripts.manual import pages

yaml = pytest.importorskip("yaml", reason="the extra vgen[cluster] is not installed")
pytest.importorskip("distributed", reason="the extra vgen[cluster] is not installed")
pytestmark = pytest.mark.slow

PAGE = ROOT / "docs/how-to/cluster.md"
APART = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
NETWORK = """
set -eu
ip link set lo up
ip link add lan type bridge && ip link set lan up && ip addr add 10.77.0.1/24 dev lan
printf '127.0.0.1 localhost\\n10.77.0.1 scheduler scheduler.studio.example\\n' > hosts
mount --bind hosts /etc/hosts
machine() {  # a machine of this number: a network of its own, on the same wire
  unshare --net sleep 1000 & eval "m$1=$!"
  until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
  ip link add "wire$1" type veth peer name eth0 netns "$!" && ip link set "wire$1" master lan up
  nsenter -t "$!" -n sh -c "ip link set lo up; ip addr add 10.77.0.1$1/24 dev eth0; ip link set eth0 up"
}
on() { eval "pid=\\$m$1"; shift; nsenter -t "$pid" -n "$@"; }
trap 'kill $(jobs -p)' EXIT
"""


def blocks(kind: str) -> list[str]:
    return [body for _, info, body in pages.fences(PAGE) if info == kind]


def unit() -> dict[str, str]:
    """What the systemd unit of the page says."""
    text = blocks("ini")[0].replace("\\\n", " ")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def services() -> dict[str, Any]:
    """What the compose file of the page says."""
    return dict(yaml.safe_load(blocks("yaml")[0])["services"])


def can_be_apart() -> bool:
    try:
        tried = [*APART, "sh", "-c", "ip link add lan type bridge && mount --bind /etc/hosts /etc/hosts"]
        return not subprocess.run(tried, capture_output=True, check=False, timeout=20).returncode
    except OSError:
        return False


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_the_page_is_followed_word_for_word_by_machines_of_their_own(tmp_path: Path) -> None:
    if not can_be_apart():
        pytest.skip("this machine gives nobody a network namespace")
    film, tls = tmp_path / "film", tmp_path / "film"
    film.mkdir()
    shutil.copy(ROOT / "dodo.py", film)
    shutil.copytree(ROOT / "config", film / "config")
    certificates, dask, build = blocks("sh")
    export, scheduler, worker = [part.strip() for part in re.split(r"\n+(?=dask )", dask)]
    one = worker.replace("--nworkers 8", "--nworkers 1")  # this is one machine after all
    two = unit()["ExecStart"].replace("/opt/vgen/bin/dask", "dask").replace("/etc/vgen/", f"{tls}/")
    two = two.replace("--nworkers 8", "--nworkers 1").replace("/var/tmp/vgen-worker", str(tmp_path / "scratch"))
    three = [word.replace("/tls/", f"{tls}/") for word in services()["worker"]["entrypoint"]]
    variables = unit()["Environment"].replace("/etc/vgen/", f"{tls}/")
    script = "\n".join(
        [
            NETWORK,
            "machine 1; machine 2; machine 3",
            certificates,
            export,
            f"{scheduler} > scheduler.log 2>&1 &",
            f"on 1 sh -c {_quoted(one)} > one.log 2>&1 &",
            f"on 2 env {variables} sh -c {_quoted(two)} > two.log 2>&1 &",
            f"on 3 {' '.join(map(_quoted, three))} > three.log 2>&1 &",
            "until [ $(grep -c 'Register worker' scheduler.log) -ge 3 ]; do sleep 0.1; done",
            *build.strip().splitlines(),
            f"doit conform {build.strip().splitlines()[-1].removeprefix('doit ')}",
        ]
    )
    environ = clean_environment() | {"VGEN_MODE": "simulate"}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    done = subprocess.run(
        [*APART, "bash", "-c", script], cwd=film, env=environ, capture_output=True, text=True, timeout=RUN_S
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "cluster: 3 workers at" in said
    assert "FIX" not in said
    assert "does here what was lost" not in said
    clips = json.loads((film / "outputs/clips.json").read_text("utf-8"))
    assert [clip["success"] for clip in clips] == [True, True, True]
    assert len(list((film / "outputs/conformed").glob("clip_*.mp4"))) == 3


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def test_scheduler_and_workers_in_containers_are_started_as_in_a_shell() -> None:
    """The same options, but for where the files are and how many workers one command starts."""
    plain = [
        re.sub(r"\S*/|\\\n|--nworkers 8|--death-timeout 60", " ", text).split()
        for text in blocks("sh")[1].split("\n\n")
    ]
    for name, shell in (("scheduler", plain[0]), ("worker", plain[1])):
        options = {word for word in shell if word.startswith("--")}
        assert {word for word in services()[name]["entrypoint"] if str(word).startswith("--")} == options


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    file = tmp_path / "vgen-worker.service"
    text = blocks("ini")[0].replace("/opt/vgen/bin/dask", "/bin/true").replace("User=vgen-worker\n", "")
    file.write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if file.name in line]
    assert complaints == []
