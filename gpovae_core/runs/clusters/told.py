"""What a scheduler says, in words: why a job waits, how it ended, why it was refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpovae_core.runs.clusters import slurm
from gpovae_core.runs.clusters.sites import Request, Site

if TYPE_CHECKING:
    from gpovae_core.runs.folder import Status

WAITS = {
    "None": "it was submitted just now",
    "Resources": "what it needs is in use",
    "Priority": "other jobs come first",
    "Dependency": "it waits for another job",
    "BeginTime": "it may begin again in a moment",
    "JobHeldUser": "it is held: `scontrol release` lets it go",
    "JobHeldAdmin": "it is held by the people who run the cluster",
    "JobArrayTaskLimit": "as many jobs as you may run at once are running",
    "Licenses": "a licence that it needs is in use",
    "Reservation": "it waits for its reservation",
    "ReqNodeNotAvail": "the nodes that it could use are down or reserved",
    "NodeDown": "a node that it needs is down",
    "BadConstraints": "no node has what it asks for",
    "PartitionConfig": "it asks for more than the partition has or allows",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition takes no jobs at the moment",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows",
    "PartitionTimeLimit": "it asks for more time than the partition allows",
    "JobLaunchFailure": "it could not be started on its node",
    "launch failed requeued held": "it could not be started on its node, and is held: `scontrol release`",
    "InvalidAccount": "its account may not be used",
    "InvalidQOS": "its quality of service may not be used",
    "Cleaning": "what it left on its last node is being cleared away",
    "DeadLine": "it could no longer end before its deadline",
    "NodeFail": "the node was lost",
    "Prolog": "its node is being made ready",
}
"""Reason of a waiting job, as squeue calls it -> in words."""
ENDS = {
    "BOOT_FAIL": "the node did not start",
    "CANCELLED": "it was cancelled at the cluster",
    "COMPLETED": "its process ended without saying why",
    "DEADLINE": "its deadline was reached",
    "FAILED": "its process failed without saying why",
    "LAUNCH_FAILED": "it could not be started on its node",
    "NODE_FAIL": "the node was lost",
    "OUT_OF_MEMORY": "it needed more memory than it was given",
    "PREEMPTED": "a job that comes first took its place",
    "REVOKED": "it was taken over by another cluster",
    "TIMEOUT": "time limit reached; resume?",
    "UNKNOWN": "the scheduler no longer knows its job",
}
DOING = {"queued": "starting", "preparing": "preparing the cells", "evaluating": "scoring"}
REFUSALS = (
    ("accounting/qos policy", "it is more than this account may have at once, in jobs, size or time"),
    ("invalid partition", "there is no partition '{partition}'; `sinfo` lists those that there are"),
    ("invalid account", "the account '{account}' may not be used, or not with this partition"),
    ("invalid qos", "the quality of service '{qos}' may not be used"),
    (
        "generic resource",
        "it has no such GPUs (asked for: {gpus}); `sinfo -o %G` lists those that it has",
    ),
    ("time limit", "{hours} h are more than may be asked for there"),
    ("memory specification", "no node there has {memory} GB of memory"),
    ("node configuration is not available", "no node there has all of {wanted}"),
    ("more processors requested", "no node there has {cores} cores"),
    ("cpu count", "no node there has {cores} cores"),
    ("feature specification", "no node there has what `options` asks for"),
    ("not permitted to use this partition", "you may not use the partition '{partition}'"),
    ("permission denied", "you may not submit jobs there"),
    ("contact slurm controller", "the scheduler cannot be reached; try again later"),
    ("connection refused", "the scheduler cannot be reached; try again later"),
    ("timed out", "the scheduler does not answer; try again later"),
    ("partition is down", "the partition '{partition}' takes no jobs at the moment"),
    ("not available now", "the partition '{partition}' takes no such job at the moment"),
    ("reservation", "its reservation cannot be used"),
)
"""Part of what sbatch says, in small letters -> in words; the first that fits."""


def refusal(error: slurm.SchedulerError, site: Site, asked: Request) -> slurm.SchedulerError:
    """Why the scheduler refused a job, in words, with its own."""
    if not error.words:
        return error
    small = error.words.lower()
    words = next((words for part, words in REFUSALS if part in small), "")
    values = {
        "partition": site.partition or "its default",
        "account": site.account or "your default",
        "qos": site.qos or "your default",
        "gpus": f"{asked.gpus} {site.gpu_type}".strip(),
        "hours": f"{asked.hours:.3g}",
        "memory": f"{asked.memory_gb:g}",
        "cores": asked.cores,
        "wanted": asked.words,
    }
    said = "; ".join(
        dict.fromkeys(re.sub(r"^\w+: (error: )?", "", line) for line in error.words.splitlines()[:4])
    )
    told = f": {words.format(**values)}" if words else ""
    return slurm.SchedulerError(
        f"The scheduler refused the job for '{asked.site}'{told}. It said: {said[:400]}", error.words
    )


def why_waiting(job: slurm.Job) -> str:
    """Why a job has not begun; a reason that is not known here stands as the scheduler gives it."""
    reason = job.reason.strip("() ")
    first = reason.partition(",")[0].strip()
    if re.match(r"(QOS|Assoc|MaxJobs|Max[A-Z])", first):
        return f"you or your group use as much as you may at once ({first})"
    return WAITS.get(reason) or WAITS.get(first) or f"reason: {reason}"


def in_words(status: Status, now: float | None = None) -> str:
    """Where a job on a cluster stands, in a few words; "" for one that is or was at work on this machine."""
    if not status.job or not status.busy:
        return ""
    if status.dead(now):
        return how_it_ended(status)
    job = None if status.heard(now) else slurm.look(status.job)
    if (job is not None and job.waits) or (job is None and status.state == "queued"):
        why = why_waiting(job) if job is not None else "its scheduler cannot be asked from here"
        return f"waiting in the queue of {status.site} ({why})"
    node = (job.nodes if job is not None else "") or status.node
    doing = DOING.get(status.state, status.state)
    return f"{doing} on {node}" if node else f"{doing} at {status.site}"


def how_it_ended(status: Status) -> str:
    """Why a job that says that it is busy has ended."""
    job = slurm.look(status.job)
    if job is None:
        return f"silent on {status.node or status.site}; its scheduler cannot be asked from here"
    words = ENDS.get(job.state, f"it ended as {job.state}")
    if job.state == "FAILED" and job.reason in WAITS and job.reason != "None":
        return WAITS[job.reason]
    if job.state == "FAILED" and status.state == "queued" and not status.node:
        return "it failed before it had begun: its node may not see the folder of the run, or not Python"
    return f"{words} ({status.node})" if job.state == "NODE_FAIL" and status.node else words
