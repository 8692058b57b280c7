// After a tap: the answer, what may be touched then, and the idle board again. The server decides what a touch may do;
// 410 from it means that the visit is over.
"use strict";

window.sheberVisit = (() => {
  const STAYS = { answer: 6000, notes: 10000, said: 4000, visit: 15000 }; // as in tokens.css
  const SMALLEST = 0.55;
  const TOUCH_EVERY = 3000; // so often the server is told that somebody is still there
  const at = (id) => document.getElementById(id);
  const sound = window.sheberSound;
  let token = "";
  let tappedAt = 0;
  let over = 0;
  let told = -TOUCH_EVERY;

  const post = (path) => fetch(path, { method: "POST", headers: { "HX-Request": "true" } });

  function closeIn(ms) {
    clearTimeout(over);
    over = setTimeout(leave, Math.max(0, ms));
  }

  function leave() {
    clearTimeout(over);
    if (token) post(`/visit/${token}/end`).catch(() => {}); // it ends by itself too
    token = "";
    at("answer").hidden = true;
    at("visit").hidden = true;
    at("visit").replaceChildren();
  }

  // Names and titles are as long as they are: the text of an answer shrinks until all of it is seen.
  function fit(place) {
    const main = place.querySelector(".main");
    const said = place.querySelector(".said");
    const over = () => {
      place.style.setProperty("--room", `${main.clientHeight}px`); // the sign takes no more than there is
      return main.scrollHeight > main.clientHeight + 1 || said.scrollWidth > said.clientWidth + 1;
    };
    for (let size = 1; size >= SMALLEST && (size === 1 || over()); size -= 0.06) place.style.setProperty("--fit", size);
  }

  function tapped(event) {
    token = "";
    at("visit").hidden = true;
    at("visit").replaceChildren();
    const place = at("answer");
    place.innerHTML = event.html;
    const noted = place.querySelector(".know, .missing") !== null;
    place.className = `answer ${event.kind}${noted ? " longer" : ""}`;
    place.lang = event.language;
    if (event.visit) {
      token = event.visit;
      tappedAt = performance.now();
      at("touches").innerHTML = event.touches;
      htmx.process(at("touches"));
      if (event.opens) htmx.ajax("GET", `/visit/${token}/${event.opens}`, "#visit");
    }
    place.hidden = false;
    fit(place);
    sound.play(event.kind);
    closeIn(noted ? STAYS.notes : STAYS.answer);
  }

  // --- The ring: a choice at a shared reader runs from the tap, everything else from the last touch.
  function restart() {
    const sheet = at("visit").querySelector("[data-visit]");
    if (sheet === null || at("visit").hidden) return;
    const ring = sheet.querySelector(".ring .left");
    const spent = "fixed" in sheet.dataset ? performance.now() - tappedAt : 0;
    if ("stays" in sheet.dataset) { // a roll call: the server says when it is over
      clearTimeout(over);
      return;
    }
    const lasts = "goes" in sheet.dataset ? STAYS.said : STAYS.visit;
    if (ring !== null) {
      ring.style.animation = "none";
      ring.getBoundingClientRect(); // the animation begins anew only after the page was laid out without it
      ring.style.animation = "";
      ring.style.animationDelay = `${-spent}ms`;
    }
    closeIn(lasts - spent);
  }

  at("visit").addEventListener("pointerdown", () => {
    if (!token) return;
    restart();
    const now = performance.now();
    if (now - told < TOUCH_EVERY) return;
    told = now;
    const touched = token;
    post(`/visit/${touched}/touch`).then((reply) => { if (reply.status === 410 && token === touched) leave(); }, () => {});
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    else if (!at("visit").hidden) restart();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest(".touch")) sound.play("touch");
    if (event.target.closest("[data-leave]")) leave();
    else if (event.target.closest("#answer") && !event.target.closest(".touch")) leave();
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    // What was asked for in a visit that is over must neither open the next one's screen nor close it.
    const current = event.detail.xhr.responseURL.includes(token || "\0");
    if (event.detail.xhr.status === 410 && current) leave();
    if (event.detail.target.id === "visit" && !current) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "visit" || !token) return;
    at("answer").hidden = true;
    at("visit").hidden = false;
    const sheet = at("visit").querySelector("[data-visit]");
    if (sheet !== null && "goes" in sheet.dataset) sound.play(sheet.classList.contains("yes") ? "in" : "no");
    restart();
  });
  document.addEventListener("htmx:sendError", leave);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt.matches(".still") && event.detail.successful) event.detail.elt.closest(".warning").remove();
  });

  return { tapped, leave, busy: () => token !== "" || !at("answer").hidden };
})();
