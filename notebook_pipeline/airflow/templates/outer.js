// Runs in the outer pages only; a notebook's content is in a sandboxed frame without scripts.
"use strict";

const host = window.parent === window ? null : window.parent;
const frame = document.querySelector("iframe[data-src]");
const outer = document.querySelector("[data-state]");

// Use Airflow's light or dark theme.
function theme() {
  try {
    return host.document.documentElement.classList.contains("dark") ? "dark" : "light";
  } catch {
    return "";
  }
}

function show(again) {
  document.documentElement.dataset.theme = theme();
  if (!frame) return;
  const address = new URL(frame.dataset.src, location.href);
  if (theme()) address.searchParams.set("theme", theme());
  if (again) address.searchParams.set("again", again);
  address.hash = "now";
  if (frame.src !== address.href) frame.src = address.href;
}

// Pages cannot navigate out of Airflow's frame, so Airflow's own page has to follow the link.
function leave(event) {
  const link = event.target.closest("a[data-host]");
  if (!host || !link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const followed = host.document.createElement("a");
  followed.href = new URL(link.dataset.host || link.getAttribute("href"), location.href).href;
  host.document.body.append(followed);
  followed.click();
  followed.remove();
}

// Show the same try as Airflow's page, unless another one was chosen here.
function followTry() {
  if (!host || !outer || new URLSearchParams(location.search).has("try_number")) return false;
  let shown = null;
  try {
    shown = new URLSearchParams(host.location.search).get("try_number");
  } catch {
    return false;
  }
  if (!/^[0-9]+$/.test(shown ?? "")) return false;
  const address = new URL(location.href);
  address.searchParams.set("try_number", shown);
  location.replace(address);
  return true;
}

// Each map index has its own tries: show the last one.
function choose(event) {
  const form = event.currentTarget;
  if (event.target.name === "map_index") form.elements.try_number.append(new Option("", "", true, true));
  form.requestSubmit();
}

async function watch(known) {
  let now = known;
  try {
    const answer = await fetch(outer.dataset.state, { credentials: "same-origin" });
    if (answer.ok) now = await answer.json();
  } catch {
    // Airflow may be restarting; try again next time.
  }
  if (known && JSON.stringify(known.page) !== JSON.stringify(now.page)) return location.reload();
  if (known && known.notebook !== now.notebook) show(String(now.notebook));
  setTimeout(() => watch(now), now?.running ? 2000 : 5000);
}

if (!followTry()) {
  show();
  document.addEventListener("click", leave);
  for (const form of document.forms) form.addEventListener("change", choose);
  try {
    new MutationObserver(() => show()).observe(host.document.documentElement, { attributeFilter: ["class"] });
  } catch {
    // Opened outside Airflow's frame, there is no theme to follow.
  }
  if (outer) watch(null);
}
