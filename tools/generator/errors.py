"""The one error that generation ends with on purpose."""


class GenerationError(Exception):
    """The protos ask for something that must not, or cannot, be generated."""
