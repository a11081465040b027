// The page around the maps: keys, theme, provenance, copying.

// ---- provenance

function provenanceOf(cell) {
  return cell.failure
    ? { failed: cell.failure }
    : { ...cell.provenance, ...data.origins[cell.origin] };
}

// JSON in which characters that turn or hide text are written out.
function written(document) {
  const hidden = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
  return JSON.stringify(document, null, 2).replace(
    hidden,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function drawProvenance() {
  if (find("provenance").open)
    find("provenance-text").textContent = written(provenanceOf(current()));
}
find("provenance").addEventListener("toggle", drawProvenance);

async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  announce(button.textContent);
  setTimeout(() => (button.textContent = label), 1500);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(find(button.dataset.copy).textContent, button));
}
find("copy-all").addEventListener("click", (event) => {
  copy(written(data.cells.filter((cell) => cell.map).map(provenanceOf)), event.currentTarget);
});

// ---- from the tables to the map

document.querySelector("main").addEventListener("click", (event) => {
  const link = event.target.closest("[data-cell]");
  if (!link || link === canvas) return;
  choose(Number(link.dataset.cell));
  find("viewer").scrollIntoView({ block: "start" });
  frame.focus({ preventScroll: true });
});

// ---- light and dark

const THEMES = ["auto", "light", "dark"];

function nextTheme() {
  const root = document.documentElement;
  const theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
  root.dataset.theme = theme;
  find("theme").textContent = `Theme: ${theme}`;
}
find("theme").addEventListener("click", nextTheme);

// ---- keys

const sharings = ["map", "row", "all"];
const after = (values, value, by = 1) =>
  values[(values.indexOf(value) + by + values.length) % values.length];

const KEYS = [
  ["m", "M", "next, previous method", (by) => move("method", by)],
  ["c", "C", "next, previous class", (by) => move("target", by)],
  ["l", "L", "next, previous layer", (by) => move("layer", by)],
  ["i", "I", "next, previous picture (image)", (by) => move("picture", by)],
  ["o", "O", "next, previous model", (by) => move("model", by)],
  ["]", "[", "more, less overlay", (by) => setOpacity(Math.round(20 * state.opacity + by) / 20)],
  [
    "s",
    "S",
    "scale: each map, row, all maps",
    (by) => setSharing(after(sharings, state.sharing, by)),
  ],
  [
    "k",
    "K",
    "next, previous colours",
    (by) => setColours(after(data[colourAxis()], state[colourAxis()], by)),
  ],
  ["r", null, "smooth, or the raw entries of the map", () => find("smooth").click()],
  ["p", null, "the picture alone, in its own colours", () => find("bare").click()],
  ["t", null, "theme: auto, light, dark", nextTheme],
  ["?", null, "this list", () => find("help").showModal()],
];

for (const [key, back, words] of KEYS) {
  const caps = [key, back].filter(Boolean).map((each) => make("kbd", {}, each));
  find("keys").append(make("div", {}, make("dt", {}, ...caps), make("dd", {}, words)));
}
for (const [keys, words] of [
  [["←", "→", "↑", "↓"], "on the map, move the cursor; with Shift, further"],
  [["Enter"], "on a small map, enlarge it; arrows go from one to the next"],
  [["Esc"], "take the cursor away"],
]) {
  find("keys").append(
    make(
      "div",
      {},
      make("dt", {}, ...keys.map((each) => make("kbd", {}, each))),
      make("dd", {}, words),
    ),
  );
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (find("help").open) return;
  if (event.key === "Escape") return pointAt(null, { pin: false });
  const typing = event.target.closest?.(
    "select, textarea, input:not([type=radio], [type=range], [type=checkbox])",
  );
  if (typing || (!find("keys-on").checked && event.key !== "?")) return;
  const found = KEYS.find(([key, back]) => event.key === key || event.key === back);
  if (!found) return;
  event.preventDefault();
  found[3](event.key === found[0] ? 1 : -1);
});

find("help-open").addEventListener("click", () => find("help").showModal());
find("help-close").addEventListener("click", () => find("help").close());

// ---- paper

addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not(#provenance)")) fold.open = true;
});

// ---- begin

document.documentElement.classList.add("js");
buildGrid();
setOpacity(state.opacity);
refresh();
watchTiles();
