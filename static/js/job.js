// How far a job is, without loading the page anew; once it is over, the page is loaded and says what there is to do.
"use strict";

(() => {
  const EVERY_MS = 1000;
  const section = document.querySelector("[data-state]");
  const bar = section?.querySelector("progress");
  const words = section?.querySelector("[data-words]");
  if (!section?.dataset.state || !bar) return;

  async function ask() {
    try {
      const reply = await fetch(section.dataset.state, { cache: "no-store" });
      if (!reply.ok || reply.redirected) {
        location.reload();
        return;
      }
      const job = await reply.json();
      if (job.over || !job.waiting && words.textContent !== job.words) {
        location.reload();
        return;
      }
      if (job.percent !== null) bar.value = job.percent;
    } catch { /* the kiosk is away: ask again */ }
    setTimeout(ask, EVERY_MS);
  }
  setTimeout(ask, EVERY_MS);
})();
