// The small multiples: every cell in its place, drawn when it comes into view.

const THUMB = 256;
const AHEAD = 400; // of no more tiles than this, those out of view are drawn too, when there is time
const MOST = 8; // tiles beside each other
const grid = find("maps");
const tiles = []; // one for each cell
const drawn = []; // all with a canvas, pictures included, as they stand on the page

function buildGrid() {
  const several = { model: data.axes.model.length > 1, picture: data.axes.picture.length > 1 };
  grid.style.setProperty(
    "--columns",
    Math.max(...data.rows.map(columnsOf)) + (several.picture ? 1 : 0),
  );
  for (const row of data.rows) {
    const cell = data.cells[row[0]];
    const head = make("div", { class: "card-head", role: "rowheader" });
    if (several.picture)
      head.append(make("p", { class: "card-over" }, named(data.axes.picture[cell.picture])));
    if (several.model)
      head.append(make("p", { class: "card-over" }, named(data.axes.model[cell.model])));
    const note = asked(cell.target, cell.class);
    head.append(
      make(
        "p",
        { class: "card-title" },
        named(cell.class),
        ...(note ? [make("small", {}, note)] : []),
      ),
    );
    const made = row.map((number) => data.cells[number]).find((each) => each.map);
    if (made) head.append(make("p", { class: "card-note" }, scoreOf(made)));
    const places = several.picture && data.pictures[cell.picture] ? [plainTile(cell.picture)] : [];
    places.push(
      ...row.map((number) => make("div", { role: "gridcell", class: "place" }, newTile(number))),
    );
    grid.append(make("div", { class: "card", role: "row" }, head, ...places));
  }
  tiles[0].button.tabIndex = 0;
}

// A row that is too long is broken after each method, if that has several layers.
function columnsOf(row) {
  if (row.length <= MOST) return row.length;
  const runs = {};
  for (const number of row)
    runs[data.cells[number].method] = (runs[data.cells[number].method] ?? 0) + 1;
  const longest = Math.max(...Object.values(runs));
  return longest > 2 && longest <= MOST ? longest : MOST;
}

function scoreOf(cell) {
  const logit =
    cell.scoreKind === "logit" ? `, logit ${numeral(Math.round(100 * cell.score) / 100)}` : "";
  return `p ${probability(cell.probability)}${logit}`;
}

function probability(value) {
  if (typeof value !== "number") return `is ${value}`;
  if (value > 0 && value < 5e-4) return "< 0.001";
  return value < 1 && value > 1 - 5e-4 ? "> 0.999" : `= ${value.toFixed(3)}`;
}

function thumb(picture) {
  const box = make("span", { class: "thumb" });
  const [width, height] = data.pictures[picture]?.shown ?? [4, 3];
  box.style.setProperty("--aspect", width / height);
  return box;
}

const crosshair = () =>
  ["across", "down", "ring"].map((part) => make("i", { class: `cross ${part}` }));

function newTile(number) {
  const cell = data.cells[number];
  const box = thumb(cell.picture);
  const method = data.axes.method[cell.method];
  const warnings = cell.warnings?.length ?? 0;
  const label =
    cellTitle(cell) +
    (cell.failure ? `, failed: ${cell.failure}` : "") +
    (cell.fault ? `, nothing finite: ${cell.fault}` : "") +
    (warnings ? `, ${warnings} warning${warnings > 1 ? "s" : ""}` : "");
  const button = make(
    "button",
    { type: "button", class: "tile", tabindex: -1, "data-tile": number, "aria-label": label },
    box,
  );
  const tile = { number, cell, button, box, stale: true, seen: false };
  if (visible(cell)) {
    tile.canvas = make("canvas", { width: 4, height: 3, "aria-hidden": "true" });
    drawn.push(tile);
    tile.reading = make("span", { class: "reading", "aria-hidden": "true" });
    box.append(tile.canvas, ...crosshair(), tile.reading);
    if (warnings)
      box.append(
        make(
          "span",
          {
            class: "badge",
            title: cell.warnings.map((each) => data.warnings[each].message).join("\n"),
          },
          "!",
        ),
      );
  } else {
    box.classList.add("failed");
    box.append(
      make(
        "span",
        { class: "failed-text" },
        make("strong", {}, cell.map ? "No finite value" : "Failed"),
        named(cell.failure ?? cell.fault),
      ),
    );
  }
  const text = make(
    "span",
    { class: "tile-text" },
    make("span", { class: "tile-name" }, named(method.title)),
  );
  if (cell.layer !== null)
    text.append(make("span", { class: "tile-layer" }, named(data.axes.layer[cell.layer])));
  button.append(text);
  button.addEventListener("click", () => {
    enter(tile);
    choose(number);
  });
  if (visible(cell)) lead(box);
  tiles.push(tile);
  return button;
}

// A mouse over a small map takes the cursor along, unless it is pinned.
function lead(box) {
  const free = (event) => event.pointerType === "mouse" && !state.pinned;
  box.addEventListener("pointermove", (event) => free(event) && pointAt(placeOf(event, box)));
  box.addEventListener("pointerleave", (event) => free(event) && pointAt(null));
}

// The picture alone, at the head of its row.
function plainTile(picture) {
  const box = thumb(picture);
  const own = make("canvas", { width: 4, height: 3 });
  box.append(own, ...crosshair());
  lead(box);
  drawn.push({ picture, box, canvas: own, stale: true, seen: false });
  return make(
    "div",
    { role: "gridcell", class: "place" },
    make(
      "span",
      { class: "tile bare" },
      box,
      make("span", { class: "tile-text" }, make("span", { class: "tile-name" }, "Picture")),
    ),
  );
}

// ---- drawing

const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) owners.get(entry.target).seen = entry.isIntersecting;
    drawTiles();
    drawReadings();
  },
  { rootMargin: "300px" },
);
const owners = new Map();

function watchTiles() {
  for (const tile of drawn) {
    owners.set(tile.box, tile);
    watcher.observe(tile.box);
  }
}

function staleTiles() {
  for (const tile of tiles) tile.stale = true;
}

let working = false;

// Draws what is in view, a few at a time, so that the page stays responsive; then the rest.
async function drawTiles() {
  if (working) return;
  working = true;
  let until = performance.now() + 12;
  for (;;) {
    const seen = drawn.find((tile) => tile.stale && tile.seen);
    const tile = seen ?? (drawn.length <= AHEAD ? drawn.find((each) => each.stale) : undefined);
    if (!tile) break;
    if (!seen || performance.now() > until) {
      await (seen ? new Promise(requestAnimationFrame) : whenIdle());
      until = performance.now() + 12;
    }
    tile.stale = false;
    await drawTile(tile).catch(() => tile.box.classList.add("failed"));
  }
  working = false;
}

const whenIdle = () =>
  new Promise((done) =>
    window.requestIdleCallback ? requestIdleCallback(done, { timeout: 200 }) : setTimeout(done, 20),
  );

async function drawTile(tile) {
  const picture = tile.cell?.picture ?? tile.picture;
  const [fullWidth, fullHeight] = data.pictures[picture].shown;
  const rate = Math.min(1, THUMB / Math.max(fullWidth, fullHeight));
  const [width, height] = [fullWidth, fullHeight].map((side) =>
    Math.max(1, Math.round(side * rate)),
  );
  const pixels = await pictures.get(`${picture} ${width} ${height}`);
  if (tile.canvas.width !== width) tile.canvas.width = width;
  if (tile.canvas.height !== height) tile.canvas.height = height;
  let laid = null;
  if (tile.cell) {
    const map = await maps.get(tile.number);
    const [left, top, across, down] = tile.cell.region;
    const { width: wide, height: high } = data.pictures[picture];
    const region = [
      (left * width) / wide,
      (top * height) / high,
      (across * width) / wide,
      (down * height) / high,
    ];
    laid = state.bare ? null : spread(map, width, height, region, state.smooth);
  }
  paint(tile.canvas, pixels, laid, tile.cell ? look(tile.cell) : { scale: [0, 0, false] });
  tile.box.classList.add("drawn");
}

// ---- the cursor's place on every map

let reading = 0;
function drawReadings() {
  reading ||= requestAnimationFrame(() => {
    reading = 0;
    for (const tile of tiles) {
      const map = tile.seen && tile.cell.map && maps.now(tile.number);
      if (!map) continue;
      const entry = state.cursor && entryAt(tile.cell, map, state.cursor);
      tile.reading.textContent = entry ? show(entry.value, map.error, 3) : "";
    }
  });
}

// ---- choosing

function markTile() {
  for (const { button, number } of tiles) {
    if (number === state.cell) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

function enter(tile) {
  for (const each of tiles) each.button.tabIndex = each === tile ? 0 : -1;
}

grid.addEventListener("keydown", (event) => {
  const at = tiles.findIndex(({ button }) => button === document.activeElement);
  if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const rowOf = (number) => data.rows.findIndex((row) => row.includes(number));
  const row = rowOf(tiles[at].number);
  const column = data.rows[row].indexOf(tiles[at].number);
  const inRow = (other) => {
    const cells = data.rows[Math.min(data.rows.length - 1, Math.max(0, other))];
    return cells[Math.min(column, cells.length - 1)];
  };
  const goal = {
    ArrowLeft: () => tiles[Math.max(0, at - 1)].number,
    ArrowRight: () => tiles[Math.min(tiles.length - 1, at + 1)].number,
    ArrowUp: () => inRow(row - 1),
    ArrowDown: () => inRow(row + 1),
    Home: () => tiles[0].number,
    End: () => tiles[tiles.length - 1].number,
  }[event.key]?.();
  if (goal === undefined) return;
  event.preventDefault();
  const tile = tiles.find(({ number }) => number === goal);
  enter(tile);
  tile.button.focus();
});
