"""What ends a start, or an order of an operator: one line that names the option and the remedy."""


class StartError(Exception):
    """The node cannot start; the text is that line. The command exits with code 1."""


class NotPossible(Exception):
    """What an operator asked a running node for cannot be done; the text says why, and what to do."""
