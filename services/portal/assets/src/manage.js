// Comforts of the pages, which work without them.

// The menu at one's name closes with Escape, and when one goes on elsewhere.
const menu = document.querySelector("details.person");
if (menu) {
  menu.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  for (const elsewhere of ["click", "focusin"]) {
    document.addEventListener(elsewhere, ({ target }) => {
      if (!menu.contains(target)) menu.open = false;
    });
  }
}

// A secret that is shown once can be copied.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const input = document.getElementById(button.dataset.copy);
    input.select();
    await navigator.clipboard.writeText(input.value);
    button.textContent = button.dataset.copied;
  });
}

// What is under way is looked at again until it is done.
const look = async () => {
  const answer = await fetch(location.href);
  const text = await answer.text();
  const now = document.querySelector("[data-again]");
  const next = new DOMParser().parseFromString(text, "text/html").querySelector("main [role=status] progress")?.closest("[role=status]");
  if (!answer.ok || !next) return;
  now.replaceWith(next);
  if (next.hasAttribute("data-again")) setTimeout(look, 1500);
};
if (document.querySelector("[data-again]")) setTimeout(look, 1500);
