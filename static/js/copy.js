// Buttons that copy a line; without this script there are none, and the line can be selected.
"use strict";
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const line = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(line.textContent);
      button.classList.add("copied");
    } catch {
      window.getSelection().selectAllChildren(line);
    }
  });
}
