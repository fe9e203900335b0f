"""Tables of effects in the place of cells."""
