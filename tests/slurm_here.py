"""A SLURM of one machine with two nodes, in a folder of its own: with its own daemons, ports and key.

    python -m tests.slurm_here FOLDER      # starts it, says what to export, and stops it at Ctrl-C

Needs Debian's packages slurm-wlm and munge, and to be root (slurmd starts jobs for others).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
NODES = ("n1", "n2")
# Neither cgroups nor systemd: a container has none to give. Requests beyond the limits of a partition are
# refused at once; a job that a partition of a higher tier displaces goes back into the queue.
CONFIG = """
ClusterName=gpovae
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
EnforcePartLimits=ALL
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,bf_interval=1,requeue_delay=1
InactiveLimit=0
KillWait=5
SlurmdTimeout=4
MessageTimeout=4
ReturnToService=2
MinJobAge=120
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000 Gres=gpu:1
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000
PartitionName=work Nodes={both} Default=YES MaxTime=60 PriorityTier=1 State=UP
PartitionName=urgent Nodes={both} MaxTime=60 PriorityTier=10 PreemptMode=OFF State=UP
"""


def missing() -> str:
    """Why there can be no SLURM here; "" where there can."""
    absent = [name for name in NEEDED if shutil.which(name) is None and not Path("/usr/sbin", name).exists()]
    if absent:
        return f"needs SLURM ({', '.join(absent)} not found; Debian: apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "needs to be root, to start jobs as slurmd does"


class SlurmHere:
    """Daemons of one cluster; `with` starts and stops them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> SlurmHere:
        (self.folder / "state").mkdir(parents=True)
        host = socket.gethostname().partition(".")[0]
        text = CONFIG.format(
            folder=self.folder, host=host, ports=free_ports(3), nodes=NODES, both=",".join(NODES)
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(f"NodeName={NODES[0]} Name=gpu File=/dev/null\n")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        try:
            names = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid"}
            names |= {"log-file": "munged.log", "seed-file": "munged.seed"}
            options = [f"--{option}={self.folder / name}" for option, name in names.items()]
            self._start("munged", "munged", "--foreground", "--force", *options)
            wait_until((self.folder / "munge.socket").exists, 10, "munged did not start")
            self._start("slurmctld", "slurmctld", "-D", "-i")
            for node in NODES:
                self.start_node(node)
            wait_until(lambda: self.states() == dict.fromkeys(NODES, "idle"), 30, self.last_words)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        numbers = self.ask("squeue", "--noheader", "--format=%i").split() if self.daemons else []
        if numbers:
            self.ask("scancel", "--full", "--signal=KILL", *numbers)
            self.ask("scancel", *numbers)
        for daemon in self.daemons.values():
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(timeout=2)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons.clear()
        for step in self.steps():  # they would tell the end of their jobs to a daemon that is gone, for ever
            step.kill()

    def start_node(self, node: str) -> None:
        self._start(f"slurmd-{node}", "slurmd", "-D", "-N", node)

    def lose_node(self, node: str) -> None:
        """The node is gone from one moment to the next, with all that works on it: nothing can tell of the
        end of anything.
        """
        daemon = self.daemons.pop(f"slurmd-{node}")
        numbers = self.ask("squeue", "--noheader", "--format=%i", f"--nodelist={node}").split()
        lost = [psutil.Process(daemon.pid)]
        for process in psutil.process_iter(["cmdline"]):
            if any(f"[{number}.batch]" in " ".join(process.info["cmdline"] or []) for number in numbers):
                lost += [process, *process.children(recursive=True)]
        for how in (signal.SIGSTOP, signal.SIGKILL):
            for process in lost:
                process.send_signal(how)
        daemon.wait()

    def steps(self) -> list[psutil.Process]:
        """Processes that watch over jobs of this cluster: they write into its logs."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if "slurmstepd" in " ".join(process.info["cmdline"] or [])[:20]:
                with suppress(psutil.Error):
                    if any(Path(file.path).is_relative_to(self.folder) for file in process.open_files()):
                        found.append(process)
        return found

    def states(self) -> dict[str, str]:
        """Node -> its state, in small letters."""
        lines = self.ask("sinfo", "--noheader", "-N", "--format=%N %T", "--partition=work").splitlines()
        return dict(line.split(maxsplit=1) for line in lines if " " in line)

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints; "" where it fails."""
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **self.environment}, check=False
        )
        return done.stdout

    def last_words(self) -> str:
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(line for log in logs for line in log.read_text().splitlines()[-8:])

    def _start(self, name: str, *command: str) -> None:
        path = shutil.which(command[0]) or f"/usr/sbin/{command[0]}"
        with (self.folder / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                [path, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(condition: Callable[[], bool], seconds: float, what: str | Callable[[], str] = "") -> None:
    since = time.monotonic()
    while not condition():
        if time.monotonic() - since > seconds:
            raise TimeoutError(what() if callable(what) else what)
        time.sleep(0.1)


def main() -> None:
    why = missing()
    if why:
        raise SystemExit(why)
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: sys.exit())
    with SlurmHere(Path(sys.argv[1])) as cluster:
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
