"""What the templates say: our words are markup, everybody's values are text, in the language of the request."""

from __future__ import annotations

from flask import Flask, render_template_string

from kiosk.web import page_words


def said(template: str, language: str = "ru", **values: object) -> str:
    app = Flask(__name__)
    page_words.install(app, lambda: language)
    with app.test_request_context():
        return render_template_string(template, **values)


def test_a_value_is_never_markup_and_a_message_is_in_the_readers_language() -> None:
    template = '{{ _("Wait %(seconds)s s and try again.", seconds=value) }}{{ _("Review") }}'
    page = said('{{ _("since %(moment)s", moment=value) }}', "en", value="<b>%(x)s")
    assert page == "since &lt;b&gt;%(x)s"
    assert said('{{ _("Review") }}', "kk") == "Тексеру"
    assert "<script>" not in said(template, "ru", value="<script>")


def test_numbers_take_their_form_and_a_count_is_filled_in() -> None:
    template = '{{ ngettext("%(num)s session approved.", "%(num)s sessions approved.", number) }}'
    assert [said(template, number=number).split()[-1] for number in (1, 2, 5)] == ["сеанс.", "сеанса.", "сеансов."]


def test_a_percent_sign_in_a_message_without_values_is_one() -> None:
    assert said('{{ _("100 %%") }}', "en") == "100 %"
