"""GPO-VAE for Perturb-seq: train it, load it, and question the gene regulatory network it learned."""

__version__ = "0.2.0"
