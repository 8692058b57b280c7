"""Every word people see, in Kazakh, Russian and English."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from web_fixtures import MINUTE, World, a_review_day, a_world

from kiosk import phrases
from kiosk.domain.entries import REVIEW_REASONS, UNDONE
from kiosk.web.apps import create_kiosk_app, create_staff_app
from kiosk.words import LOCALE_FOLDER, academic_hours, hours_minutes, words
from lab_config.model import LANGUAGES, STATES

KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None, "say": None}
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


@cache
def messages() -> frozenset[str | tuple[str, ...]]:
    """Everything that the code and the templates mark for translation."""
    with (LOCALE_FOLDER / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    folder = LOCALE_FOLDER.parent
    found = {
        each[2]
        for room in ("web", "reports", "imports")
        for each in extract_from_dir(str(folder / room), methods, options, KEYWORDS)
    }
    found |= {each[1] for each in extract_from_file("python", str(folder / "phrases.py"), KEYWORDS)}
    return frozenset(message if isinstance(message, str) else tuple(message) for message in found)


def po_file(language: str) -> Path:
    return LOCALE_FOLDER / language / "LC_MESSAGES" / "messages.po"


@cache
def catalogue(language: str) -> Catalog:
    with po_file(language).open("rb") as file:
        return read_po(file, locale=language)


def strings(message: Message) -> tuple[str, ...]:
    """The translation in all its plural forms."""
    texts = message.string
    return tuple(texts) if isinstance(texts, (list, tuple)) else (texts or "",)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_and_nothing_else_is_kept(language: str) -> None:
    ids = {each.id if isinstance(each.id, str) else tuple(each.id) for each in catalogue(language) if each.id}
    assert ids == messages()
    for each in catalogue(language):
        assert all(strings(each)), each.id
        assert not each.fuzzy or not each.id, each.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_the_placeholders(language: str) -> None:
    for each in catalogue(language):
        wanted = set(PLACEHOLDER.findall(each.id if isinstance(each.id, str) else each.id[1]))
        for string in strings(each):
            assert set(PLACEHOLDER.findall(string)) == wanted, each.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_program_reads_is_made_from_what_people_edit(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(language))
    assert po_file(language).with_suffix(".mo").read_bytes() == compiled.getvalue()


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_no_english_is_left_in_a_translation(language: str) -> None:
    known = re.compile(
        r"%\(\w+\)s|JSON|CSV|XLSX|PDF|UTF|PIN|SHA|Enter|sheber sync|/dev/[\w/-]+|Raspberry Pi|python3-lgpio"
        r"|\b(TX|RXD?|GND|GPIO\d*|USB|serial|dialout|gpio|states)\b"
    )
    for each in catalogue(language):
        for string in strings(each):
            assert each.id == "" or not re.search("[A-Za-z]{2}", known.sub("", string)), string


def test_russian_counts_in_three_forms_and_kazakh_in_one() -> None:
    def said(language: str, number: int) -> str:
        return words(language).ngettext("%(num)s session approved.", "%(num)s sessions approved.", number)

    russian = [said("ru", number) for number in (1, 2, 5, 11, 21, 22)]
    assert [each.split()[-1] for each in russian] == ["сеанс.", "сеанса.", "сеансов.", "сеансов.", "сеанс.", "сеанса."]
    assert {said("kk", number).replace(str(number), "n", 1) for number in (1, 2, 5, 21)} == {"n сеанс қабылданды."}


def test_every_code_of_history_has_its_words() -> None:
    assert tuple(phrases.STATES) == STATES
    assert tuple(phrases.REVIEW_REASON_WORDS) == (*REVIEW_REASONS, UNDONE)
    assert phrases.REFUSALS.keys() == phrases.REMEDIES.keys()
    assert phrases.FLAG_ICONS.keys() == phrases.FLAGS.keys()


def texts(page: str) -> Iterator[str]:
    """What a reader reads: text between tags and the labels for those who listen."""
    body = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", page, flags=re.S)
    yield from (each.strip() for each in re.findall(r">([^<]+)<", body) if each.strip())
    yield from re.findall(r'aria-label="([^"]+)"', body)


@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("path", ["/login", "/review/", "/nowhere", "one"])
def test_no_page_has_a_word_in_another_language(tmp_path: Path, language: str, path: str) -> None:
    from test_web_staff import sign_in

    with a_world(tmp_path) as world:
        made = a_review_day(world)
        client = create_staff_app(world.services()).test_client()
        if path != "/login":
            sign_in(client)
        client.get(f"/language/{language}")
        page = client.get(f"/review/{made['lost']}" if path == "one" else path).text
    english = {each if isinstance(each, str) else each[0] for each in messages()}
    # Not words of ours: names, codes, the language switch.
    seen = {each for each in texts(page) if each not in phrases.LANGUAGE_NAMES.values()}
    assert seen & english == set()
    assert f'<html lang="{language}">' in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_demo_panel_speaks_the_visitors_language(tmp_path: Path, language: str) -> None:
    with a_world(tmp_path) as world:
        page = create_kiosk_app(world.services(demo=True)).test_client().get("/", headers={"Accept-Language": language})
    assert words(language).gettext("Whose card?") in page.text


def test_times_are_written_as_people_here_write_them(tmp_path: Path) -> None:
    assert hours_minutes(133 * MINUTE + 59_999) == "2:13"
    assert hours_minutes(168 * 60 * MINUTE) == "168:00"
    assert academic_hours(133 * MINUTE, 45 * MINUTE) == "3,0"
    with a_world(tmp_path) as world:
        page = _review_page(world)
    assert "29.10.2026, 08:03–10:03" in page
    assert "2,0 ак. ч" in page


def _review_page(world: World) -> str:
    from test_web_staff import sign_in

    a_review_day(world)
    client = create_staff_app(world.services()).test_client()
    sign_in(client)
    client.get("/language/ru")
    return client.get("/review/").text


def test_the_languages_are_told_apart_for_those_who_listen(tmp_path: Path) -> None:
    with a_world(tmp_path) as world:
        page = create_kiosk_app(world.services()).test_client().get("/").text
    order = re.findall(r'lang="(kk|ru|en)">(?:Картаны|Приложите|Tap your)', page)
    assert order == ["ru", "en"]  # the first language is the page's own
