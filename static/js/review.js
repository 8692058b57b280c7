// The review by keyboard: j and k go from one exception to the next, a takes the proposal, e, r, u, ?. It only presses
// buttons that are on the page, so everything it does is there without it.
"use strict";

(() => {
  const OFF = "sheber-review-keys-off";
  const at = (id) => document.getElementById(id);
  const told = at("told");
  const dialog = at("keys");
  const switched = at("keys-on");
  if (told === null || dialog === null) return; // an account that may only look

  let off = false;
  try {
    off = localStorage.getItem(OFF) === "1";
  } catch {
    // a browser that keeps nothing: the keys are on
  }
  switched.checked = !off;
  switched.addEventListener("change", () => {
    off = !switched.checked;
    try {
      localStorage.setItem(OFF, off ? "1" : "0");
    } catch {
      // until the page is left, then
    }
  });
  const open = at("keys-open");
  open.hidden = false;
  open.addEventListener("click", () => dialog.showModal());

  const stops = [...document.querySelectorAll(".stop")];
  const tell = (text) => { told.textContent = text; };

  function current() {
    const found = document.activeElement?.closest(".stop");
    return found ?? null;
  }

  function go(to) {
    if (!to) {
      tell(told.dataset.end);
      return;
    }
    to.focus({ preventScroll: true });
    to.scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    const here = current();
    if (here === null) go(by > 0 ? stops[0] : stops[stops.length - 1]);
    else go(stops[stops.indexOf(here) + by]);
  }

  function take() {
    const here = current();
    if (here === null) {
      go(stops[0]);
      return;
    }
    if (here.matches("button")) {
      here.click();
      return;
    }
    const button = here.querySelector("button.take");
    if (button !== null) {
      button.click();
      return;
    }
    here.querySelector("button.approve")?.focus();
    tell(told.dataset.look);
  }

  function unfold(which) {
    const details = current()?.querySelector(`details.${which}`);
    if (!details) return;
    details.open = true;
    details.querySelector("input:not([type=hidden]), select").focus();
    details.scrollIntoView({ block: "nearest" });
  }

  function fold() {
    const details = document.activeElement?.closest(".stop details[open]");
    if (!details) return false;
    details.open = false;
    details.closest(".stop").focus({ preventScroll: true });
    return true;
  }

  // By the place of the key: on a Kazakh or Russian layout the letters are others, the fingers are not.
  const KEYS = {
    KeyJ: () => step(1),
    KeyK: () => step(-1),
    KeyA: take,
    KeyE: () => unfold("adjust"),
    KeyR: () => unfold("reject"),
    KeyU: () => at("undo")?.querySelector("button")?.click(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
    if (event.code === "Escape" && !dialog.open) {
      if (fold()) event.preventDefault();
      return;
    }
    const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea, [contenteditable]");
    if (typing || dialog.open || off) return;
    if (event.key === "?" || (event.code === "Slash" && event.shiftKey)) {
      event.preventDefault();
      dialog.showModal();
      return;
    }
    const act = event.shiftKey ? undefined : KEYS[event.code];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  // A decision comes back to the list at the place where the work goes on: there the focus goes too.
  // (The browser does that by itself where the place can have it; a row among the clean ones cannot.)
  const wanted = at(location.hash.slice(1) || "none");
  if (wanted?.matches(".stop")) go(wanted);
  else if (wanted?.matches("tr")) addEventListener("load", () => setTimeout(() => wanted.closest("form")?.querySelector(".stop")?.focus()));
  const done = at("undo")?.querySelector("p")?.textContent.trim();
  if (done) setTimeout(() => tell(done), 300);
})();
