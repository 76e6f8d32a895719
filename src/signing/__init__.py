"""Who vouches for a model: keys, and signatures that lie beside model files.

A seal tells damage, a signature who made the file: whoever can write a file can seal it, and only the owner of the key
can sign it. Not here: what a signature is asked for (`src/live`), and when one is made (`src/runs/publication.py`).
"""
