// The instructor's panel: the number pad, and the sounds of what became of a touch. Everything else comes rendered.
"use strict";

(() => {
  const LONGEST = 12;
  const place = document.getElementById("visit");

  function typed(pad, digit) {
    const field = pad.querySelector("input");
    field.value = digit === "" ? field.value.slice(0, -1) : (field.value + digit).slice(0, LONGEST);
    pad.querySelector(".typed").textContent = "shown" in pad.dataset ? field.value : "●".repeat(field.value.length);
  }

  place.addEventListener("click", (event) => {
    const key = event.target.closest("[data-digit]");
    if (key !== null) typed(key.closest(".pad"), key.dataset.digit);
  });

  document.addEventListener("keydown", (event) => { // a keyboard, where there is one
    const pad = place.querySelector(".pad");
    if (pad === null || place.hidden) return;
    if (/^[0-9]$/.test(event.key)) typed(pad, event.key);
    else if (event.key === "Backspace") typed(pad, "");
    else if (event.key === "Enter" && !event.target.closest("button")) pad.requestSubmit();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "visit") return;
    const sound = place.querySelector(".master[data-sound]")?.dataset.sound;
    if (sound) window.sheberSound.play(sound);
  });
})();
