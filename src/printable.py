"""Text from elsewhere, such as an exchange, as it may stand in a message: one line that commands no terminal."""


def escape(text: object) -> str:
    """Return a text with every control, bidirectional and invisible character written out, as in `\\x1b`."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in plain)
