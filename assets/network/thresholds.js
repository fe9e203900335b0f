// What every threshold does to the network: one small chart per measure, one line through all of them.
// Dragging the line moves the picture with it, in the browser (see THRESHOLD_EVENT in network.js); Python
// hears it on release.

const THRESHOLD_EVENT = "gpovae-threshold";
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 360,
  HEIGHT = 144;
const LEFT = 40,
  RIGHT = 8,
  TOP = 6,
  BOTTOM = 34;

const views = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let view = views.get(parentElement);
  if (!view) {
    view = new ThresholdChart(parentElement);
    views.set(parentElement, view);
  }
  view.send = setTriggerValue;
  view.take(data);
  return () => {
    view.destroy();
    views.delete(parentElement);
  };
}

function draw(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

class ThresholdChart {
  constructor(parent) {
    this.now = parent.querySelector(".now");
    this.panels = parent.querySelector(".panels");
    this.unpin = parent.querySelector(".unpin");
    parent.querySelector(".pin").addEventListener("click", () => this.send("pinned", this.step));
    this.unpin.addEventListener("click", () => this.send("pinned", -1));
    this.now.addEventListener("keydown", (event) => this.key(event));
    this.heard = ({ detail }) => {
      if (detail.from === "picture" && detail.measure === this.data?.measure)
        this.move(Math.round((detail.value / this.data.scale) * this.last));
    };
    window.addEventListener(THRESHOLD_EVENT, this.heard);
  }

  take(data) {
    this.data = data;
    this.last = data.steps;
    this.panels.replaceChildren(...data.panels.map((panel) => this.panel(panel)));
    this.unpin.hidden = data.pinned < 0;
    this.now.setAttribute("aria-valuemin", 0);
    this.now.setAttribute("aria-valuemax", data.scale);
    this.move(data.step);
  }

  value(step) {
    return (step / this.last) * this.data.scale;
  }
  words(step) {
    return this.value(step).toFixed(this.data.digits);
  }
  x(step) {
    return LEFT + (step / this.last) * (WIDTH - LEFT - RIGHT);
  }

  panel(panel) {
    const root = document.createElement("div");
    root.className = "panel";
    const add = (tag, text, name) => {
      const element = document.createElement(tag);
      element.textContent = text;
      if (name) element.className = name;
      root.append(element);
      return element;
    };
    add("h4", panel.title);
    const value = add("p", "", "value");
    const svg = draw(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "img",
        "aria-label": `${panel.title} against the threshold`,
      },
      root,
    );
    if (panel.note) add("p", panel.note);
    this.axes(svg, panel);
    const y = this.height(panel);
    const path = (values) => {
      let text = "",
        pen = "M";
      values.forEach((v, step) => {
        if (v === null || (panel.log && v <= 0)) pen = "M";
        else {
          text += `${pen}${this.x(step).toFixed(1)} ${y(v).toFixed(1)}`;
          pen = "L";
        }
      });
      return text;
    };
    if (panel.base) draw("path", { class: "base", d: path(panel.base) }, svg);
    draw("path", { class: "curve", d: path(panel.values) }, svg);
    if (this.data.pinned >= 0)
      draw(
        "line",
        {
          class: "pinned",
          x1: this.x(this.data.pinned),
          x2: this.x(this.data.pinned),
          y1: TOP,
          y2: HEIGHT - BOTTOM,
        },
        svg,
      );
    const line = draw("line", { class: "line", y1: TOP, y2: HEIGHT - BOTTOM }, svg);
    const grip = draw("circle", { class: "grip", cy: TOP + 4, r: 4 }, svg);
    root.place = (step) => {
      line.setAttribute("x1", this.x(step));
      line.setAttribute("x2", this.x(step));
      grip.setAttribute("cx", this.x(step));
      const pinned =
        this.data.pinned < 0
          ? ""
          : `; pinned at ${this.words(this.data.pinned)}: ` +
            this.shown(panel, panel.values[this.data.pinned]);
      value.textContent = `${this.shown(panel, panel.values[step])}${pinned}`;
    };
    svg.addEventListener("pointerdown", (event) => {
      svg.setPointerCapture(event.pointerId);
      this.drag(svg, event);
    });
    svg.addEventListener(
      "pointermove",
      (event) => svg.hasPointerCapture(event.pointerId) && this.drag(svg, event),
    );
    svg.addEventListener("pointerup", () => this.release());
    return root;
  }

  shown(panel, value) {
    if (value === null) return "not defined";
    if (panel.percent) return `${(100 * value).toFixed(1)} %`;
    return panel.whole ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
  }

  height(panel) {
    const known = [...panel.values, ...(panel.base || [])].filter((v) => v !== null && (!panel.log || v > 0));
    const most = panel.percent && panel.full ? 1 : Math.max(...known, panel.log ? 1 : 1e-12);
    const inner = HEIGHT - TOP - BOTTOM;
    if (panel.log)
      return (v) => TOP + inner * (1 - Math.log10(Math.max(v, 1)) / Math.max(Math.log10(most), 1e-9));
    return (v) => TOP + inner * (1 - v / most);
  }

  axes(svg, panel) {
    draw(
      "rect",
      { class: "frame", x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM },
      svg,
    );
    const known = [...panel.values, ...(panel.base || [])].filter((v) => v !== null);
    const most = panel.percent && panel.full ? 1 : Math.max(...known, panel.log ? 1 : 0);
    draw("text", { x: LEFT - 4, y: TOP + 8, "text-anchor": "end" }, svg, this.tick(panel, most));
    draw("text", { x: LEFT - 4, y: HEIGHT - BOTTOM, "text-anchor": "end" }, svg, panel.log ? "1" : "0");
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
      draw(
        "text",
        { x: this.x(part * this.last), y: HEIGHT - 20, "text-anchor": anchor },
        svg,
        Number((part * this.data.scale).toPrecision(2)).toString(),
      );
    }
    const across = { x: this.x(this.last / 2), y: HEIGHT - 5, "text-anchor": "middle" };
    draw("text", across, svg, `threshold on ${this.data.measure}`);
  }

  tick(panel, value) {
    if (panel.percent) return `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;
    if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
    if (value >= 1e4) return `${Math.round(value / 1e3)}k`;
    return panel.whole ? String(Math.round(value)) : value.toPrecision(2);
  }

  drag(svg, event) {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    this.go(Math.round(((x - LEFT) / (WIDTH - LEFT - RIGHT)) * this.last));
  }

  go(step) {
    this.move(step);
    window.dispatchEvent(
      new CustomEvent(THRESHOLD_EVENT, {
        detail: { from: "chart", measure: this.data.measure, value: this.value(this.step) },
      }),
    );
  }

  move(step) {
    this.step = Math.max(0, Math.min(this.last, step));
    const words = `Threshold on ${this.data.measure}: ${this.words(this.step)}`;
    this.now.textContent = `${words} (drag the line in any chart)`;
    this.now.setAttribute("aria-valuenow", this.value(this.step));
    for (const panel of this.panels.children) panel.place(this.step);
  }

  release() {
    clearTimeout(this.timer); // arrow keys release at every step: send the last one
    this.timer = setTimeout(() => this.send("released", this.value(this.step)), 120);
  }

  key(event) {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[
      event.key
    ];
    if (!by) return;
    event.preventDefault();
    this.go(this.step + by);
    this.release();
  }

  destroy() {
    clearTimeout(this.timer);
    window.removeEventListener(THRESHOLD_EVENT, this.heard);
  }
}
