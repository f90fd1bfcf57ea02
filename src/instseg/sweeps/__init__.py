"""Many runs as one: what is tried next, what came out, how sure that is.

Knows runs and their records; with ``app`` the only room that knows Hydra.
"""
