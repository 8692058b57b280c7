"""What must hold for every picture of the workshop screen: read, touched, understood, one language, nothing afar."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from playwright.sync_api import Browser, Page, Request

from kiosk.words import LOCALE_FOLDER
from lab_config.model import LANGUAGES, Lab, LocalText
from tests.browser import complaints_of

SIZES = {"800x480": (800, 480), "1024x600": (1024, 600), "1920x1080": (1920, 1080)}
PICTURES = "SHEBER_PICTURES"
"""The environment variable that names the folder where every picture is kept; without it none is taken."""
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"

RUN_AXE = """async (tags) => {
  const found = await axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations'], preload: false});
  return found.violations.flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.target.join(' ')}`));
}"""  # noqa: E501 - one expression

LAID_OUT = """() => {
  const root = document.documentElement;
  const shown = (each) => each.checkVisibility() && each.getClientRects().length > 0;
  const top = [...document.querySelectorAll('#alarm, #visit, #answer')].find(shown) ?? document.body;
  const inside = [...top.querySelectorAll('*')].filter(shown);
  const name = (each) => `${each.getAttribute('class') || each.id || each.tagName} "${each.textContent.trim().slice(0, 40)}"`;
  const cut = inside
    .filter((each) => !(each instanceof SVGElement) && getComputedStyle(each).overflow !== 'visible'
      && getComputedStyle(each).textOverflow !== 'ellipsis' && !each.matches('.what'))
    .filter((each) => each.scrollHeight > each.clientHeight + 1 || each.scrollWidth > each.clientWidth + 1)
    .map((each) => `cut: ${name(each)}`);
  const outside = inside.filter((each) => !each.closest('.remaining, .machine, .latest'))
    .filter((each) => { const r = each.getBoundingClientRect();
      return r.width && r.height && (r.bottom > innerHeight + 1 || r.right > innerWidth + 1 || r.top < -1 || r.left < -1); })
    .map((each) => `outside: ${name(each)}`);
  const small = inside.filter((each) => each.matches('button, .touch, label.touch') && !each.matches('.try, #panel *'))
    .filter((each) => { const r = each.getBoundingClientRect(); return r.height < 72 || r.width < 72; })
    .map((each) => `small: ${name(each)}`);
  const texts = inside.filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const spilt = texts.filter((each) => getComputedStyle(each).textOverflow !== 'ellipsis' && !each.closest('.machine, .latest, .mark'))
    .filter((each) => { const holder = each.closest('.touch, li, .note, .heard, .warning, .know, .missing');
      if (!holder || holder === each) return false;
      for (let up = each.parentElement; up !== holder; up = up.parentElement) {
        if (getComputedStyle(up).textOverflow === 'ellipsis') return false; // a long name that ends in three dots
      }
      const r = each.getBoundingClientRect(), h = holder.getBoundingClientRect();
      return r.right > h.right + 1 || r.left < h.left - 1 || r.bottom > h.bottom + 2 || r.top < h.top - 2; })
    .map((each) => `spilt: ${name(each)}`);
  const box = (each) => each.getBoundingClientRect();
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
  const blocks = inside.filter((each) => each.matches('.sign, .said, .know, .totals, .touches, .sheet-head, .sheet-body, nav.tabs'));
  const covered = blocks.flatMap((a, index) => blocks.slice(index + 1)
    .filter((b) => !a.contains(b) && !b.contains(a) && over(box(a), box(b))).map((b) => `covered: ${name(a)} by ${name(b)}`));
  const wide = root.scrollWidth > root.clientWidth || root.scrollHeight > root.clientHeight ? ['the page scrolls'] : [];
  return [...wide, ...cut, ...outside, ...small, ...spilt, ...covered];
}"""  # noqa: E501 - rows of one table
"""72 px in both directions at every size: a glove is as big on a small screen."""

READ = """() => {
  const shown = (each) => each.checkVisibility() && each.getClientRects().length > 0;
  const top = [...document.querySelectorAll('#alarm, #visit, #answer')].find(shown) ?? document.body;
  const language = (each) => each.closest('[lang]').lang;
  const found = [];
  const walker = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (shown(each) && !each.closest('bdi, .who')) found.push([language(each), walker.currentNode.data.trim()]);
  }
  for (const each of top.querySelectorAll('[aria-label], [placeholder]')) {
    if (!shown(each)) continue;
    for (const said of ['aria-label', 'placeholder']) {
      if (each.hasAttribute(said)) found.push([language(each), each.getAttribute(said)]);
    }
  }
  return JSON.stringify(found.filter(([, text]) => text));
}"""
"""(language that is claimed, text) of everything seen on top or read aloud; people's names have no language."""

PLACEHOLDER = re.compile(r"%\(\w+\)s")


@cache
def phrases_of(language: str) -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    """What the catalogue says in `language`: whole texts, and patterns of those that carry a value."""
    with (LOCALE_FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    texts: list[str] = []
    for each in catalogue:
        if each.id:
            texts += each.string if isinstance(each.string, (list, tuple)) else [str(each.string)]
    plain = frozenset(text for text in texts if "%" not in text)
    carrying = [text for text in texts if "%" in text and len(re.sub(r"\W", "", PLACEHOLDER.sub("", text))) >= 3]
    patterns = tuple(
        re.compile(".+?".join(re.escape(part.replace("%%", "%")) for part in PLACEHOLDER.split(text)))
        for text in carrying
    )
    return plain, patterns


def lab_phrases(lab: Lab, language: str) -> frozenset[str]:
    """What the lab's own file says in `language`: machines, qualifications, processes, skills."""
    texts: list[LocalText] = [each.name for each in (*lab.machines, *lab.qualifications)]
    for programme in lab.programmes:
        texts += [each.title for each in programme.processes]
        texts += [each.title for each in programme.competencies]
    return frozenset(each.by_language[language] for each in texts if language in each.by_language)


@cache  # pages say the same again and again, and each page is read in a dozen states
def says(language: str, text: str, own: frozenset[str]) -> bool:
    """Is `text` something that is said in `language`?"""
    plain, patterns = phrases_of(language)
    return text in plain or text in own or any(each.fullmatch(text) for each in patterns)


def strangers(read: Iterable[tuple[str, str]], lab: Lab) -> list[str]:
    """Texts that stand in another language than their place claims."""
    own = {each: lab_phrases(lab, each) for each in LANGUAGES}
    return [
        f"{claimed}: {text}"
        for claimed, text in read
        if not says(claimed, text, own[claimed])
        and any(says(other, text, own[other]) for other in LANGUAGES if other != claimed)
    ]


@dataclass
class Eyes:
    """Looks at one page; everything that is wrong is kept by the name of the picture."""

    page: Page
    lab: Lab
    size: str
    language: str
    axe: bool = True
    wrong: dict[str, list[str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def look(self, name: str, alone: bool = True) -> None:
        """Judge what is seen now. `alone`: everything on top is in the person's language and no other."""
        self.seen.append(name)
        self._keep(name)
        read: list[tuple[str, str]] = [(each[0], each[1]) for each in json.loads(self.page.evaluate(READ))]
        found = strangers(read, self.lab)
        found += [f"claims {claimed}: {text}" for claimed, text in read if alone and claimed != self.language]
        found += self.page.evaluate(LAID_OUT)
        if self.axe:
            if not self.page.evaluate("'axe' in window"):
                self.page.evaluate(AXE.read_text(encoding="utf-8"))
            found += self.page.evaluate(RUN_AXE, list(WCAG))
        if found:
            self.wrong[name] = found

    def _keep(self, name: str) -> None:
        folder = os.environ.get(PICTURES)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            path = Path(folder) / f"{name}-{self.language}-{self.size}.png"
            path.write_bytes(self.page.screenshot(animations="disabled"))


@contextmanager
def a_watched_page(chromium: Browser, size: str, language: str, **options: Any) -> Iterator[Page]:
    """A page that fails the test when its console says anything or it asks anything of another host."""
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height}, locale=language, **options)
    page = context.new_page()
    complaints = complaints_of(page)
    asked: list[str] = []

    def note(request: Request) -> None:
        if not re.match(r"https?://127\.\d+\.\d+\.\d+[:/]|data:", request.url):
            asked.append(request.url)

    page.on("request", note)
    try:
        yield page
    finally:
        context.close()
    assert (complaints, asked) == ([], [])
