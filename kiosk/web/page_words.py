"""The words of a page's templates: `_`, `gettext` and `ngettext` as Jinja's own, found once a request.

Flask-Babel and Jinja's newstyle functions look the catalogue up anew for each of a page's thousand words and make every
one of them a format: a third of a long page's time.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, g
from markupsafe import Markup, escape

from kiosk.words import Words, words


def install(app: Flask, language: Callable[[], str]) -> None:
    """Give the templates their words in what `language` says during a request."""

    def said() -> Words:
        found: Words | None = g.get("page_words")
        if found is None:
            found = g.page_words = words(language())
        return found

    def gettext(message: str, /, **values: object) -> Markup:
        return _filled(said().catalogue.ugettext(message), values)

    def ngettext(one: str, many: str, number: int, /, **values: object) -> Markup:
        return _filled(said().catalogue.ungettext(one, many, number), {"num": number, **values})

    app.jinja_env.globals.update({"_": gettext, "gettext": gettext, "ngettext": ngettext})


def _filled(text: str, values: dict[str, object]) -> Markup:
    """`text` is ours and is markup; the values are anybody's and are not."""
    if "%" in text:  # also without values: a percent sign is written twice in a message
        text %= {name: escape(value) for name, value in values.items()}
    return Markup(text)  # noqa: S704 - messages are kept in kiosk/locale, values were escaped above
