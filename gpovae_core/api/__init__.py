"""What a notebook or a script needs: the names of `import gpovae_core as gp`.

A thin face: every answer is that of the command line and of the pages, by the same functions.
"""
