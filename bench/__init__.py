"""Benchmarks of Gristmill against its peers: both sides in one session, on the same documents.

Nothing here is a test: a slow machine fails nothing. Run it with ``script/bench``.
"""
