// A screen that is not paired yet asks again and again, unseen: the page is loaded anew only when its answer has changed.
"use strict";

(() => {
  const EVERY_MS = 3000;
  const shown = (page) => page.querySelector(".digits")?.textContent ?? "";

  async function ask() {
    try {
      const reply = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      if (page.body.className !== document.body.className || shown(page) !== shown(document)) {
        location.reload();
        return;
      }
    } catch { /* the kiosk is away: ask again */ }
    setTimeout(ask, EVERY_MS);
  }
  setTimeout(ask, EVERY_MS);
})();
