"""The review's server: one page and its film on 127.0.0.1, for one browser's owner. Knows no doit, no ledger, no shot.

`server` speaks HTTP, `guard` refuses strangers, `media` sends files, `watch` notices changes, `app` leads requests to
a `Film`, which `vgen.cli` brings.
"""
