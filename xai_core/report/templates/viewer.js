// The large map: its picture, its controls, the cursor and what it reads.

const frame = find("frame");
const canvas = find("main-map");
const SEGMENTS = 8; // more values than this go into a list

// ---- drawing

let fieldKey = "";
let field = null;

function drawMain() {
  const number = state.cell;
  const cell = current();
  const picture = data.pictures[cell.picture];
  find("fault").hidden = visible(cell);
  find("fault").textContent = cell.failure ? `No map: ${cell.failure}` : (cell.fault ?? "");
  if (!picture) {
    resizeCanvas(4, 3);
    canvas.getContext("2d").clearRect(0, 0, 4, 3);
    canvas.dataset.drawn = number;
    return;
  }
  const [width, height] = picture.shown;
  const key = `${cell.picture} ${width} ${height}`;
  const pixels = pictures.now(key);
  const map = cell.map && maps.now(number);
  if (!pixels || (cell.map && !map)) {
    Promise.all([pictures.get(key), cell.map && maps.get(number)])
      .then(() => state.cell === number && refresh())
      .catch((error) => {
        find("fault").textContent = `This browser cannot show the map: ${error.message}`;
        find("fault").hidden = false;
      });
    return;
  }
  resizeCanvas(width, height);
  const wanted = `${number} ${state.smooth}`;
  if (fieldKey !== wanted) {
    field = map ? spread(map, width, height, shownRegion(cell, width), state.smooth) : null;
    fieldKey = wanted;
  }
  paint(canvas, pixels, state.bare ? null : field, map ? look(cell) : { scale: [0, 0, false] });
  canvas.dataset.drawn = number;
}

// What the model saw, in pixels of the picture as it is shown.
function shownRegion(cell, width) {
  const rate = width / data.pictures[cell.picture].width;
  return cell.region.map((length) => length * rate);
}

function resizeCanvas(width, height) {
  frame.style.setProperty("--aspect", width / height);
  frame.classList.toggle("coarse", Math.max(width, height) < 128);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

let pending = 0;
function redraw() {
  if (!pending) {
    pending = requestAnimationFrame(() => {
      pending = 0;
      drawMain();
      drawTiles();
    });
  }
}

// ---- controls

function drawAxes() {
  const alone = [];
  for (const axis of ["method", "target", "layer", "picture", "model"]) {
    const values = choices(axis);
    const group = find(`axis-${axis}`) ?? newAxis(axis);
    group.hidden = values.length < 2;
    if (group.hidden) {
      alone.push(factOf(axis, values[0]));
      continue;
    }
    const titles = values.map((value) => `${titleOf(axis, value)} ${noteOf(axis, value)}`);
    const built = JSON.stringify([values, titles]);
    const held = group.contains(document.activeElement);
    if (group.dataset.built !== built) {
      group.dataset.built = built;
      fillAxis(group, axis, values);
    }
    const shown = current()[axis];
    for (const radio of group.querySelectorAll("input"))
      radio.checked = Number(radio.value) === shown;
    const list = group.querySelector("select");
    if (list) list.value = shown;
    if (held && !group.contains(document.activeElement))
      (group.querySelector(":checked") ?? list).focus();
  }
  find("here").replaceChildren(...alone);
}

const noteOf = (axis, value) => (axis === "target" ? asked(value, titleOf(axis, value)) : "");

// An axis on which there is nothing to choose.
function factOf(axis, value) {
  const text = value === undefined ? "none, it looks at the input" : named(titleOf(axis, value));
  const note = value === undefined ? "" : noteOf(axis, value);
  return make(
    "div",
    {},
    make("dt", {}, NAMES[axis]),
    make("dd", {}, text, ...(note ? [make("small", {}, note)] : [])),
  );
}

function newAxis(axis) {
  return find("axes").appendChild(make("fieldset", { id: `axis-${axis}`, class: "group" }));
}

function fillAxis(group, axis, values) {
  const legend = make("legend", {}, NAMES[axis]);
  if (values.length <= SEGMENTS) {
    const labels = values.map((value) => {
      const radio = make("input", { type: "radio", name: `axis-${axis}`, value });
      const note = noteOf(axis, value);
      const text = make(
        "span",
        {},
        named(titleOf(axis, value)),
        ...(note ? [make("small", {}, note)] : []),
      );
      return make("label", {}, radio, text);
    });
    group.replaceChildren(legend, make("div", { class: "segments" }, ...labels));
  } else {
    const options = values.map((value) => make("option", { value }, titleOf(axis, value)));
    const list = make("select", { "aria-label": NAMES[axis] }, ...options);
    const step = (by, sign, word) => {
      const button = make(
        "button",
        { type: "button", class: "step", "aria-label": `${word} ${NAMES[axis].toLowerCase()}` },
        sign,
      );
      button.addEventListener("click", () => move(axis, by));
      return button;
    };
    group.replaceChildren(
      legend,
      make("div", { class: "list" }, step(-1, "‹", "Previous"), list, step(1, "›", "Next")),
    );
  }
}

find("axes").addEventListener("change", (event) => {
  const axis = event.target.closest("fieldset").id.replace("axis-", "");
  choose(nearest(axis, Number(event.target.value)));
});

function move(axis, by) {
  const values = choices(axis);
  if (values.length < 2) return;
  const at = values.indexOf(current()[axis]);
  choose(nearest(axis, values[(at + by + values.length) % values.length]));
}

function choose(number) {
  state.cell = number;
  remember(current());
  refresh();
  announce(describe());
}

function describe() {
  const cell = current();
  return `${cellTitle(cell)}. ${cell.failure ? `Failed: ${cell.failure}` : (cell.focus ?? cell.fault ?? "no evidence to measure")}`;
}

let announcing = 0;
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => (find("announce").textContent = text), 300);
}

// ---- what is known of the shown map

function drawAbout() {
  const cell = current();
  const [ramp, ticks] = [find("ramp"), find("ticks")];
  frame.setAttribute("aria-label", `Map: ${cellTitle(cell)}`);
  const layer = cell.layer === null ? [] : [make("span", {}, named(data.axes.layer[cell.layer]))];
  find("caption").replaceChildren(
    make("strong", {}, named(data.axes.method[cell.method].title)),
    ...layer,
    make("span", {}, named(cell.class)),
  );
  find("scale-bar").classList.toggle("empty", !visible(cell));
  find("finding").textContent = visible(cell)
    ? sentence(cell.focus ?? "there is no evidence to measure")
    : cell.map
      ? "No value of this map is finite."
      : "No map was made.";
  find("finding").classList.toggle("fault-text", !visible(cell));
  const facts = cell.map
    ? [
        `${cell.scoreKind} ${numeral(cell.score)}${cell.scoreKind === "logit" ? `, probability ${numeral(cell.probability)}` : ""}`,
        ...(cell.extent ? [`values ${cell.extent.map(numeral).join(" to ")}`] : []),
        ...cell.facts.map(([name, value]) => `${name} ${amount(value)}`),
        ...cell.health,
        `made in ${show(cell.seconds, 0, 2)} s, beside the pass it shares`,
      ]
    : [];
  find("about-details").replaceChildren(...facts.map((fact) => make("li", {}, named(fact))));
  const warnings = (cell.warnings ?? []).map((number) => data.warnings[number]);
  find("about-warnings").replaceChildren(
    ...warnings.map(({ kind, message }) =>
      make(
        "li",
        {},
        make("span", { class: "badge", "aria-hidden": "true" }, "!"),
        make("span", {}, make("strong", {}, kind), " ", named(message)),
      ),
    ),
  );
  drawVerdict();
  drawSays(cell);
  if (!visible(cell)) return;
  const {
    scale: [low, high, signed],
    table,
  } = look(cell);
  const context = ramp.getContext("2d");
  const image = context.createImageData(256, 1);
  for (let i = 0; i < 256; i++) image.data.set([...table.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  context.putImageData(image, 0, 0);
  const [above, below] = data.axes.method[cell.method].poles;
  const marks = signed
    ? [
        [low, below],
        [0, ""],
        [high, above],
      ]
    : [
        [low, ""],
        [high, ""],
      ];
  ticks.replaceChildren(
    ...marks.map(([value, word]) =>
      make("span", {}, show(value, 0, 3), ...(word ? [make("small", {}, named(word))] : [])),
    ),
  );
}

const numeral = (value) => (typeof value === "number" ? show(value, 0, 4) : value);

// A count has all its digits.
const amount = (value) => (Number.isInteger(value) ? show(value, 0, 15) : numeral(value));

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

function drawVerdict() {
  const glance = find(`verdict-${state.cell}`)?.querySelector(".glance");
  find("trust-here").hidden = !glance;
  if (glance) find("trust-here-body").replaceChildren(glance.cloneNode(true));
}

function drawSays(cell) {
  const table = find(`prediction-${cell.model}-${cell.picture}`)?.cloneNode(true);
  find("says").hidden = !table;
  if (!table) return;
  table.removeAttribute("id");
  for (const row of table.querySelectorAll("tbody tr")) {
    const explained = Number(row.dataset.index) === cell.index;
    row.classList.toggle("explained", explained);
    if (explained)
      row.querySelector("th").append(make("span", { class: "unseen" }, "the class of this map"));
  }
  find("says-list").replaceChildren(table);
}

// ---- the cursor

function pointAt(cursor, { pin = state.pinned } = {}) {
  state.cursor = cursor && { x: clamp(cursor.x), y: clamp(cursor.y) };
  state.pinned = Boolean(cursor) && pin;
  const root = document.documentElement;
  root.classList.toggle("pointing", Boolean(cursor));
  root.classList.toggle("pinned", state.pinned);
  if (state.cursor) {
    root.style.setProperty("--across", `${100 * state.cursor.x}%`);
    root.style.setProperty("--down", `${100 * state.cursor.y}%`);
  }
  drawReadout();
  drawReadings();
}

const clamp = (part) => Math.min(1 - 1e-9, Math.max(0, part));

function drawReadout() {
  const cell = current();
  const picture = data.pictures[cell.picture];
  const map = cell.map && maps.now(state.cell);
  const needle = find("needle");
  needle.hidden = true;
  delete find("value").dataset.value;
  if (!state.cursor || !picture) {
    for (const id of ["where", "entry"]) find(id).textContent = "–";
    find("value").textContent = cell.map ? "Point at the map" : "–";
    find("value").className = "idle";
    return;
  }
  find("value").className = "";
  const { x, y } = state.cursor;
  find("where").textContent =
    `x ${Math.floor(x * picture.width)}, y ${Math.floor(y * picture.height)}`;
  const entry = map && entryAt(cell, map, state.cursor);
  find("entry").textContent = entry ? `row ${entry.row}, column ${entry.column}` : "–";
  find("value").textContent = entry
    ? show(entry.value, map.error)
    : map
      ? "outside what the model saw"
      : "–";
  if (!entry) return;
  find("value").dataset.value = entry.value;
  const [low, high, signed] = scaleOf(cell);
  if (Number.isFinite(entry.value)) {
    const at = high > low ? (entry.value - low) / (high - low) : signed ? 0.5 : 0;
    needle.style.setProperty("--at", `${100 * Math.min(1, Math.max(0, at))}%`);
    needle.hidden = false;
  }
}

function placeOf(event, box) {
  const { left, top, width, height } = box.getBoundingClientRect();
  return { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
}

// A finger or a held button takes the cursor along; a mouse does so by moving, until a
// click pins it.
frame.addEventListener("pointermove", (event) => {
  if (event.pointerType !== "mouse") {
    if (event.buttons) pointAt(placeOf(event, canvas), { pin: true });
  } else if (!state.pinned || event.buttons) pointAt(placeOf(event, canvas));
});
frame.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  if (event.pointerType === "mouse" && state.pinned)
    pointAt(placeOf(event, canvas), { pin: false });
  else pointAt(placeOf(event, canvas), { pin: true });
});
frame.addEventListener("pointerleave", (event) => {
  if (event.pointerType === "mouse" && !state.pinned) pointAt(null);
});
frame.addEventListener("keydown", (event) => {
  const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
    event.key
  ];
  if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const step = event.shiftKey ? 0.1 : 0.01;
  const from = state.cursor ?? { x: 0.5 - step * direction[0], y: 0.5 - step * direction[1] };
  pointAt({ x: from.x + step * direction[0], y: from.y + step * direction[1] }, { pin: true });
  announce(`${find("value").textContent} at ${find("where").textContent}`);
});

// ---- the dials

const opacity = find("opacity");

function setOpacity(part) {
  state.opacity = Math.min(1, Math.max(0, part));
  opacity.value = Math.round(100 * state.opacity);
  opacity.setAttribute("aria-valuetext", `${opacity.value}%`);
  opacity.style.setProperty("--filled", `${opacity.value}%`);
  find("opacity-value").textContent = `${opacity.value}%`;
  staleTiles();
  redraw();
}
opacity.addEventListener("input", () => setOpacity(opacity.value / 100));

function setSharing(sharing) {
  state.sharing = sharing;
  refresh({ tiles: true });
}
find("sharing").addEventListener("change", (event) => setSharing(event.target.value));

function colourAxis() {
  const cell = current();
  return cell.map && scaleOf(cell)[2] ? "diverging" : "sequential";
}

function setColours(name) {
  state[colourAxis()] = name;
  refresh({ tiles: true });
}
find("colours").addEventListener("change", (event) => setColours(event.target.value));

const SHARED = {
  map: "Each map on a scale of its own.",
  row: "All maps of one picture and class on one scale.",
  all: "All maps of this page on one scale.",
};

function drawDials() {
  const mixed = state.sharing !== "map" && data.axes.method.length > 1;
  find("sharing-note").textContent =
    SHARED[state.sharing] + (mixed ? " Methods have units of their own: compare within one." : "");
  for (const radio of find("sharing").querySelectorAll("input"))
    radio.checked = radio.value === state.sharing;
  const axis = colourAxis();
  const list = find("colours");
  if (list.dataset.axis !== axis) {
    list.dataset.axis = axis;
    list.replaceChildren(...data[axis].map((name) => make("option", { value: name }, name)));
  }
  list.value = state[axis];
  find("smooth").checked = state.smooth;
  find("bare").checked = state.bare;
}

for (const name of ["smooth", "bare"]) {
  find(name).addEventListener("change", (event) => {
    state[name] = event.target.checked;
    refresh({ tiles: true });
  });
}

function refresh({ tiles = false } = {}) {
  canvas.dataset.cell = state.cell;
  drawAxes();
  drawDials();
  drawAbout();
  drawReadout();
  markTile();
  drawProvenance();
  if (tiles) staleTiles();
  redraw();
}
