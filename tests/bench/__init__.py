"""How long a tap takes, what a kiosk weighs and how soon it listens, beside what the same disk does meanwhile."""


class BenchError(Exception):
    """The bench itself could not run; one sentence that says why and what to do."""
