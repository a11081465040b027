// What is shown, and how one moves along the axes.

const AXES = ["model", "picture", "target", "method", "layer"];
const NAMES = {
  model: "Model",
  picture: "Picture",
  target: "Class",
  method: "Method",
  layer: "Layer",
};
// What another cell should share with the shown one, from what matters most.
const WEIGHT = { model: 16, picture: 8, target: 4, method: 2, layer: 1 };
// The axes that must agree before a value is on offer.
const GIVEN = {
  model: [],
  picture: [],
  target: ["model", "picture"],
  method: ["model"],
  layer: ["model", "picture", "target", "method"],
};

const state = {
  cell: Math.max(
    0,
    data.cells.findIndex((cell) => cell.map),
  ),
  wanted: {},
  opacity: data.opacity,
  sharing: data.scale,
  sequential: data.sequential[0],
  diverging: data.diverging[0],
  smooth: true,
  bare: false,
  cursor: null, // 0..1 across and down
  pinned: false,
};

// Whether there is a map, and a value in it that can be drawn.
const visible = (cell) => Boolean(cell.map) && cell.fault === null;

const current = () => data.cells[state.cell];

function remember(cell) {
  for (const axis of AXES) if (cell[axis] !== null) state.wanted[axis] = cell[axis];
}
remember(current());

// The values of an axis that can be gone to from here.
function choices(axis) {
  const here = current();
  const cells = data.cells.filter((cell) =>
    GIVEN[axis].every((other) => cell[other] === here[other]),
  );
  return [...new Set(cells.map((cell) => cell[axis]))].filter((value) => value !== null);
}

// The cell with a value on an axis that is otherwise the most like the shown one.
function nearest(axis, value) {
  const likeness = (cell) =>
    AXES.reduce((sum, other) => {
      const wanted = other === axis ? value : state.wanted[other];
      return sum + (cell[other] === wanted ? WEIGHT[other] : 0);
    }, 0);
  let best = -1;
  data.cells.forEach((cell, number) => {
    if (cell[axis] === value && (best < 0 || likeness(cell) > likeness(data.cells[best]))) {
      best = number;
    }
  });
  return best;
}

// What to call a value of an axis, where it would be shown from here.
function titleOf(axis, value) {
  if (axis === "method") return data.axes.method[value].title;
  if (axis !== "target") return data.axes[axis][value];
  return data.cells[nearest(axis, value)].class;
}

// Beside a class's name, how it was asked for, where that is not the name again.
function asked(value, title) {
  const words = data.axes.target[value];
  return words !== title && /^(predicted|rank \d+)$/.test(words) ? words : "";
}

function scaleOf(cell) {
  return cell.scales[state.sharing];
}

function look(cell) {
  const scale = scaleOf(cell);
  return {
    scale,
    table: tableOf(scale[2] ? state.diverging : state.sequential),
    opacity: state.opacity,
  };
}

function cellTitle(cell) {
  const parts = [data.axes.method[cell.method].title];
  if (cell.layer !== null) parts[0] += ` at ${data.axes.layer[cell.layer]}`;
  parts.push(cell.class);
  if (data.axes.picture.length > 1) parts.push(data.axes.picture[cell.picture]);
  if (data.axes.model.length > 1) parts.push(data.axes.model[cell.model]);
  return parts.join(", ");
}

// An element; its text is text, whatever it says.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children);
  return element;
}

const find = (id) => document.getElementById(id);

// A name of anyone's: it keeps its direction of writing to itself, and breaks where it has joints.
function named(text) {
  const name = make("bdi");
  for (const part of text.split(/(?<=[_/.-])/)) name.append(part, make("wbr"));
  name.lastChild?.remove();
  return name;
}
