"""Trainings, ensembles and sweeps on a cluster that SLURM manages: where they may go (`sites`), what the
scheduler says (`slurm`), the way there (`submit`), the process that looks after one there (`worker`), and all
of it in words (`told`).

The run folder on a disk that both sides see is the one hand-over: a job over there writes the same status,
metrics and log as one here.
"""
