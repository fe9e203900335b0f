"""Who is perturbed by what: the column of labels, the controls in it, and the genes that its labels name."""
