// The list of those who have tapped, without loading the page anew. Without this script the page loads itself anew.
"use strict";
(() => {
  const form = document.querySelector("form[data-present]");
  if (!form) return;
  const ask = async () => {
    const list = form.querySelector(".present");
    try {
      const answer = await fetch(`${form.dataset.present}&seen=${list.dataset.seen}`, { credentials: "same-origin" });
      if (answer.status === 410 || answer.redirected) {
        window.location.reload();
        return;
      }
      // A button that has the focus is not taken away under somebody's finger.
      if (answer.status === 200 && !list.contains(document.activeElement)) {
        const made = document.createElement("template");
        made.innerHTML = await answer.text();
        list.replaceWith(made.content.firstElementChild);
      }
    } catch {
      // The network comes back, or the list ends by itself.
    }
    window.setTimeout(ask, 1000);
  };
  window.setTimeout(ask, 1000);
})();
