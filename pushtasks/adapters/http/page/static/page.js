// Fetches the page again every ten seconds and puts what is new in place of the old; all else works
// without. What the reader has opened or focused stays so, and what he has selected is left alone.
"use strict";

const SECONDS = 10;
const LIMIT = 8;
const LIVE = ["clock", "main"];
const FOCUSABLE = "a, button, summary";

const control = document.getElementById("refresh");
const silent = document.getElementById("silent");

function isWanted() {
  const isReading = !document.getSelection().isCollapsed || document.querySelector(".refusal");
  return control.querySelector("input").checked && !document.hidden && !isReading;
}

// Returns a function that gives the focus back to the element at the same place.
function rememberFocus() {
  const around = document.activeElement?.closest("[id]");
  const place = around ? [...around.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement) : -1;
  return () => {
    const again = place < 0 ? null : document.getElementById(around.id);
    again?.querySelectorAll(FOCUSABLE)[place]?.focus({ preventScroll: true });
  };
}

function put(fresh) {
  const open = [...document.querySelectorAll("details[open]")].map((one) => one.id);
  const giveBack = rememberFocus();
  for (const id of LIVE) {
    document.getElementById(id).replaceWith(document.adoptNode(fresh.getElementById(id)));
  }
  for (const id of open) {
    document.getElementById(id)?.setAttribute("open", "");
  }
  document.title = fresh.title;
  giveBack();
}

async function refresh() {
  const url = document.querySelector(".reload").href; // not that of a form that was refused
  const response = await fetch(url, { signal: AbortSignal.timeout(LIMIT * 1000) });
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!LIVE.every((id) => fresh.getElementById(id))) {
    throw new Error(`the server answers ${response.status}`);
  }
  if (isWanted()) {
    put(fresh);
  }
}

async function tick() {
  if (isWanted()) {
    try {
      await refresh();
      silent.hidden = true;
    } catch {
      silent.textContent = "The server does not answer. This is what was known last.";
      silent.hidden = false;
    }
  }
  setTimeout(tick, SECONDS * 1000);
}

control.hidden = false;
setTimeout(tick, SECONDS * 1000);
