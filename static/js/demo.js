// Only in the demo: a visitor taps a badge; the virtual reader then puts real bytes on its line.
"use strict";

(() => {
  const at = (id) => document.getElementById(id);
  const show = (open) => {
    at("panel").hidden = !open;
    at("try").setAttribute("aria-expanded", String(open));
  };
  at("try").addEventListener("click", () => show(true));
  at("enough").addEventListener("click", () => show(false));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") show(false); });
  at("panel").addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = new FormData(at("panel"));
    try {
      const reply = await fetch("demo/tap", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ reader: chosen.get("reader"), badge: chosen.get("badge") }),
      });
      at("said").textContent = reply.ok ? "" : await reply.text();
      if (reply.ok) show(false);
    } catch (problem) {
      at("said").textContent = String(problem);
    }
  });
})();
