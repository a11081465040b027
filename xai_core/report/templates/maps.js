// Maps: raw values, resampled and coloured as xai_core.render does it.

const data = JSON.parse(document.getElementById("data").textContent);

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Promises by key, and what they came to.
function memory(make) {
  const promises = new Map();
  const results = new Map();
  return {
    now: (key) => results.get(key),
    get(key, ...rest) {
      if (!promises.has(key)) {
        promises.set(
          key,
          make(key, ...rest).then((made) => (results.set(key, made), made)),
        );
      }
      return promises.get(key);
    },
  };
}

// The raw values of a cell's map, and how far off each may be.
const maps = memory(async (number) => {
  const { h, w, kind, levels, low, step, data: text } = data.cells[number].map;
  const bytes = bytesOf(text);
  if (kind === "f4") return { h, w, values: new Float32Array(bytes.buffer), error: 0 };
  if (kind === "f8") return { h, w, values: new Float64Array(bytes.buffer), error: 0 };
  const codes = await inflate(bytes);
  const values = new Float64Array(h * w);
  for (let i = 0; i < values.length; i++) {
    const code = kind === "q1" ? codes[i] : (codes[i] << 8) | codes[values.length + i];
    values[i] = code <= levels ? low + code * step : [NaN, Infinity, -Infinity][code - levels - 1];
  }
  return { h, w, values, error: step / 2 };
});

// The pixels of a picture at a size, from the one element that holds it.
const pictures = memory(async (key) => {
  const [number, width, height] = key.split(" ").map(Number);
  const image = document.getElementById(`picture-${number}`);
  await image.decode();
  const context = surface(width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
});

function surface(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d", { willReadFrequently: true });
}

const tables = {};
function tableOf(name) {
  return (tables[name] ??= bytesOf(data.colours[name]));
}

// For each pixel of an axis, which entries of the map it is made of, and in which parts:
// a triangle as wide as a map entry, or as a pixel where pixels are the wider. None outside.
function weights(entries, pixels, start, length, smooth) {
  const rate = entries / length;
  const reach = Math.max(rate, 1);
  return Array.from({ length: pixels }, (_, pixel) => {
    const centre = (pixel + 0.5 - start) * rate;
    if (centre < 0 || centre >= entries) return null;
    if (!smooth || entries === length) return [[Math.floor(centre)], [1]];
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(entries, Math.floor(centre + reach + 0.5));
    const places = [];
    const parts = [];
    for (let place = first; place < last; place++) {
      const part = 1 - Math.abs(place - centre + 0.5) / reach;
      if (part > 0) {
        places.push(place);
        parts.push(part);
      }
    }
    const whole = parts.reduce((sum, part) => sum + part, 0);
    return [places, parts.map((part) => part / whole)];
  });
}

// The raw values at each pixel of a picture: undefined columns and rows lie outside the map.
function spread(map, width, height, [left, top, across, down], smooth) {
  const columns = weights(map.w, width, left, across, smooth);
  const rows = weights(map.h, height, top, down, smooth);
  const lines = new Float32Array(map.h * width);
  columns.forEach((column, x) => {
    if (!column) return;
    const [places, parts] = column;
    for (let y = 0; y < map.h; y++) {
      let sum = 0;
      for (let i = 0; i < places.length; i++) sum += map.values[y * map.w + places[i]] * parts[i];
      lines[y * width + x] = sum;
    }
  });
  const values = new Float32Array(height * width);
  rows.forEach((row, y) => {
    if (!row) return;
    const [places, parts] = row;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let i = 0; i < places.length; i++) sum += lines[places[i] * width + x] * parts[i];
      values[y * width + x] = sum;
    }
  });
  return { values, columns: columns.map(Boolean), rows: rows.map(Boolean) };
}

// How bright the part is that the model did not see: colours of its own would look like heat.
const UNSEEN = 0.4;

// The map laid over the picture in grey, in a weighted mean whose weight grows with the heat.
function paint(canvas, pixels, field, { scale: [low, high, signed], table, opacity }) {
  const { width, height } = canvas;
  const image = new ImageData(new Uint8ClampedArray(pixels), width, height);
  const out = image.data;
  const middle = signed ? 0.5 : 0;
  for (let y = 0; field && y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      const grey = 0.299 * out[at] + 0.587 * out[at + 1] + 0.114 * out[at + 2];
      if (!field.rows[y] || !field.columns[x]) {
        for (let c = 0; c < 3; c++) out[at + c] = UNSEEN * grey;
        continue;
      }
      const raw = field.values[y * width + x];
      if (!Number.isFinite(raw)) {
        hatch(out, at, x + y);
        continue;
      }
      const heat = high > low ? Math.min(1, Math.max(0, (raw - low) / (high - low))) : middle;
      const part = opacity * Math.sqrt(Math.abs(heat - middle) / (1 - middle));
      const entry = 3 * Math.min(255, Math.floor(heat * 256));
      for (let c = 0; c < 3; c++) out[at + c] = (1 - part) * grey + part * table[entry + c];
    }
  }
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
}

function hatch(out, at, diagonal) {
  const tone = diagonal % 8 < 4 ? 245 : 20;
  for (let c = 0; c < 3; c++) out[at + c] = 0.45 * out[at + c] + 0.55 * tone;
}

// The entry of a map at a point of its picture, 0..1 across and down; null outside.
function entryAt(cell, map, { x, y }) {
  const { width, height } = data.pictures[cell.picture];
  const [left, top, across, down] = cell.region;
  const column = Math.floor(((x * width - left) / across) * map.w);
  const row = Math.floor(((y * height - top) / down) * map.h);
  if (column < 0 || row < 0 || column >= map.w || row >= map.h) return null;
  return { row, column, value: map.values[row * map.w + column] };
}

// A number with as many digits as are known of it, six at most.
function show(value, error = 0, most = 6) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "infinity" : "−infinity";
  if (Math.abs(value) <= error) return "0";
  const known = error > 0 ? Math.ceil(Math.log10(Math.abs(value) / error)) : most;
  const rounded = Number(value.toPrecision(Math.min(most, Math.max(1, known))));
  const size = Math.abs(rounded);
  const text = size && (size < 1e-4 || size >= 1e7) ? rounded.toExponential() : String(rounded);
  return text.replaceAll("-", "−");
}
