// A part that is folded opens when a link or an answer leads to it.
"use strict";

function unfold() {
  const aim = document.querySelector(":target");
  const fold = aim && (aim.closest("details") || aim.querySelector("details"));
  if (fold) fold.open = true;
}

window.addEventListener("hashchange", unfold);
window.addEventListener("load", unfold); // not before: until then an address has no target
