"""How a program says that it cannot do what it was asked."""

__all__ = ["Failure"]


class Failure(Exception):
    """The message is one line that says why and what to do; the program ends with `code`.

    Args:
        message: the line.
        code: the exit code: 1 if something failed, 2 if it was asked for wrongly.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
