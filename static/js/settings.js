"use strict";
// Shows a password while its button is pressed in; copies what is shown once. Without this script both stay hidden.
for (const button of document.querySelectorAll("[data-reveal]")) {
  const field = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") === "true";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    field.focus();
  });
  // A browser remembers what was typed into a text field: it is a password again before it is sent.
  field.form.addEventListener("submit", () => { field.type = "password"; });
}
