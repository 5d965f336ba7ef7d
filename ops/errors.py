"""What ends a start: one line for the operator, naming the option and the remedy."""


class StartError(Exception):
    """The node cannot start; the text is that line. The command exits with code 1."""
