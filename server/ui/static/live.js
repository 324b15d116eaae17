/* What a page that refreshes itself must not do: drop the reader's selection, ask while nobody looks, or stand
   still without a word when the server is gone. */
"use strict";

const gone = document.getElementById("gone");
let since = null;

const holdsSelection = (place) => {
  const selection = getSelection();
  return !selection.isCollapsed && place.contains(selection.anchorNode);
};

const lost = () => {
  since ??= new Date().toLocaleTimeString();
  gone.textContent = `The server has not answered since ${since}. This page shows what it said before.`;
  gone.hidden = false;
};

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden) event.preventDefault();
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (holdsSelection(event.detail.target)) event.detail.shouldSwap = false;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) {
    since = null;
    gone.hidden = true;
  }
});
for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failure, lost);
}
