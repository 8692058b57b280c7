// The live board: the stream says that something changed, the page asks what. It stands still while somebody is being
// asked whether they are sure, and goes to the sign-in when that has ended.
"use strict";

(() => {
  const SILENCE_MS = 25000; // no word for this long: the connection is lost
  const at = (id) => document.getElementById(id);
  const place = at("live");
  let after = place.dataset.seq;
  let asking = false;
  let again = false;
  let stream = null;
  let silence = 0;

  function say(which) {
    for (const each of ["is-live", "is-held", "is-lost"]) at(each).hidden = each !== which;
  }

  const held = () => place.querySelector("details[open]") !== null;

  async function refresh() {
    if (held()) {
      again = true;
      say("is-held");
      return;
    }
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    again = false;
    try {
      const answer = await fetch(place.dataset.live, { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect" || answer.status === 403) {
        location.reload(); // the sign-in has ended
        return;
      }
      if (answer.ok && !held()) {
        const html = await answer.text();
        if (held()) {
          again = true;
        } else {
          const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
          place.innerHTML = html;
          if (focused) at(focused)?.focus({ preventScroll: true });
        }
      }
    } catch {
      say("is-lost");
    } finally {
      asking = false;
    }
    if (again && !held()) refresh();
  }

  place.addEventListener("toggle", () => {
    if (!held() && again) {
      say("is-live");
      refresh();
    }
  }, true);

  document.addEventListener("keydown", (event) => {
    const details = event.key === "Escape" && place.querySelector("details[open]");
    if (!details) return;
    details.open = false;
    details.querySelector("summary").focus();
  });

  function lively() {
    say(held() && again ? "is-held" : "is-live");
    clearTimeout(silence);
    silence = setTimeout(() => {
      say("is-lost");
      listen();
    }, SILENCE_MS);
  }

  function listen() {
    if (stream !== null) stream.close();
    stream = new EventSource(`${place.dataset.feed}?after=${after}`);
    stream.onopen = lively;
    stream.addEventListener("changed", (message) => {
      if (message.lastEventId) after = message.lastEventId;
      lively();
      refresh();
    });
    stream.onerror = () => {
      say("is-lost");
      // Refused: too many streams for now, or the sign-in has ended; the page itself tells which.
      if (stream.readyState === EventSource.CLOSED) {
        setTimeout(listen, 5000);
        refresh();
      }
    };
  }

  listen();
})();
