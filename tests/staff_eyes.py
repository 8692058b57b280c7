"""What must hold for every page of the staff side, at every width: laid out, read, reached, in one language."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Page

from lab_config.model import Lab
from tests.eyes import AXE, PICTURES, RUN_AXE, WCAG, phrases_of, strangers

WIDTHS = {"360": (360, 780), "1024": (1024, 768), "1920": (1920, 1080)}

LAID_OUT = """() => {
  const root = document.documentElement;
  const shown = (each) => each.checkVisibility() && each.getClientRects().length > 0;
  const name = (each) => `${each.tagName.toLowerCase()}.${each.getAttribute('class') || each.id} "${each.textContent.trim().slice(0, 40)}"`;
  const all = [...document.body.querySelectorAll('*')].filter(shown);
  const rolls = (each) => { for (let up = each; up; up = up.parentElement) {
    if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(up).overflowX) && up !== root && up !== document.body) return true; }
    return false; };
  const wide = root.scrollWidth > root.clientWidth ? [`the page is ${root.scrollWidth} wide of ${root.clientWidth}`] : [];
  const outside = all.filter((each) => !rolls(each) && !each.closest('.skip, svg') && each.getBoundingClientRect().right > root.clientWidth + 1)
    .map((each) => `outside: ${name(each)}`);
  const spilt = all.filter((each) => !rolls(each) && !(each instanceof SVGElement) && each.scrollWidth > each.clientWidth + 1
      && each.clientWidth > 0 && getComputedStyle(each).display !== 'inline' && !each.matches('select, input, textarea, html, body'))
    .map((each) => `spilt: ${name(each)}`);
  return [...wide, ...outside.slice(0, 5), ...spilt.slice(0, 5)];
}"""  # noqa: E501 - rows of one table

READ = """() => {
  const shown = (each) => each.checkVisibility() && each.getClientRects().length > 0;
  const language = (each) => each.closest('[lang]').lang;
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (shown(each) && !each.closest('bdi, .code, code, option')) found.push([language(each), walker.currentNode.data.trim()]);
  }
  for (const each of document.querySelectorAll('[aria-label], [placeholder]')) {
    for (const said of ['aria-label', 'placeholder']) {
      if (shown(each) && each.hasAttribute(said)) found.push([language(each), each.getAttribute(said)]);
    }
  }
  return JSON.stringify(found.filter(([, text]) => text));
}"""  # noqa: E501 - a condition

OPEN_ALL = "() => document.querySelectorAll('details').forEach((each) => { each.open = true; })"

REACHABLE = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
  .filter((each) => each.checkVisibility({visibilityProperty: true}) && !each.disabled && each.tabIndex >= 0 && each.type !== 'hidden')
  .filter((each) => each.type !== 'radio' || each.checked || !document.querySelector(`input[name="${CSS.escape(each.name)}"]:checked`))
  .length"""  # noqa: E501 - rows of one table
"""How many places a keyboard must be able to reach; of a group of choices only one is a stop."""

FOLLOW = """() => {
  window.tabbed = {rounds: 0, unseen: []};
  document.addEventListener('focusin', ({target}) => {
    target.dataset.reached = 'yes';
    const style = getComputedStyle(target);
    const seen = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
    if (!seen) tabbed.unseen.push(`${target.tagName.toLowerCase()} "${(target.textContent || target.name || '').trim().slice(0, 30)}"`);
  });
  document.addEventListener('focusout', (event) => { if (event.relatedTarget === null) tabbed.rounds += 1; });
}"""  # noqa: E501 - a condition
"""From now on each place that has the focus is marked, and told where that cannot be seen."""

REACHED = "() => [document.querySelectorAll('[data-reached]').length, tabbed.rounds]"
TABS_AT_ONCE = 20

PARTS = re.compile(r"^(\d+|[0-9a-f]{8,}|[0-9a-f-]{36}|[A-Za-z0-9_-]{16,}|[a-z]+-\d+)$")
"""A segment of a path that names one of many."""


def pattern(url: str) -> str:
    """Pages of one kind have one: `/people/<one>?page`."""
    split = urlsplit(url)
    path = "/".join("<one>" if PARTS.match(part) else part for part in split.path.split("/"))
    names = ",".join(sorted({name for name, _ in parse_qsl(split.query, keep_blank_values=True)}))
    return f"{path}?{names}" if names else path


def _sentence(language: str, text: str) -> bool:
    """Is it a phrase of that language with a capital letter and a full stop?"""
    return text[:1].lower() + text[1:].removesuffix(".") in phrases_of(language)[0]


@dataclass
class StaffEyes:
    """Looks at the pages of one signed-in browser; everything that is wrong is kept by the page's pattern."""

    page: Page
    lab: Lab
    width: str
    language: str
    role: str
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def look(self, name: str) -> None:
        """Judge the page as it opens, and again with everything unfolded, where axe sees all of it at once."""
        folded = self.page.query_selector("details") is not None
        found = [*self._judge(f"{name}", axe=not folded)]
        if folded:
            self.page.evaluate(OPEN_ALL)
            found += [f"unfolded: {each}" for each in self._judge(f"{name}-unfolded", axe=True)]
        if found:
            self.wrong.setdefault(name, []).extend(dict.fromkeys(found))

    def tab_through(self, name: str) -> None:
        """Everything that can be used can be reached with the Tab key, and it shows where one is."""
        self.page.evaluate(OPEN_ALL)
        wanted = int(self.page.evaluate(REACHABLE))
        self.page.evaluate(FOLLOW)
        reached = 0
        for _ in range(0, 2 * wanted + 20, TABS_AT_ONCE):
            for _ in range(TABS_AT_ONCE):
                self.page.keyboard.press("Tab")
            reached, rounds = self.page.evaluate(REACHED)
            if rounds > 1 or (rounds == 1 and reached >= wanted):
                break  # a field that has the focus at first lies in the middle of the first round
        found = [f"no focus to be seen on {each}" for each in self.page.evaluate("() => tabbed.unseen")]
        if reached < wanted:
            found.append(f"the keyboard reaches {reached} of {wanted} places")
        if found:
            self.wrong.setdefault(f"{name} (keyboard)", []).extend(found)

    def _judge(self, name: str, axe: bool) -> Iterator[str]:
        self._keep(name)
        read: list[tuple[str, str]] = [(each[0], each[1]) for each in json.loads(self.page.evaluate(READ))]
        yield from strangers((each for each in read if not _sentence(*each)), self.lab)
        yield from self.page.evaluate(LAID_OUT)
        if not axe:
            return
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        yield from self.page.evaluate(RUN_AXE, list(WCAG))

    def _keep(self, name: str) -> None:
        folder = os.environ.get(PICTURES)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            plain = re.sub(r"[^\w-]+", "_", name).strip("_") or "home"
            path = Path(folder) / f"{plain}-{self.role}-{self.language}-{self.width}.png"
            path.write_bytes(self.page.screenshot(animations="disabled", full_page=True))
