// The network picture around vis-network. Python sends genes, edges (strongest first) and the view; the threshold acts here, in the
// browser, and Python hears it on release. Names from the data only ever become text: canvas text or textContent, never markup.

const LIBRARY = "app/static/vis-network/vis-network.min.js?v=10.1.5";
const STEPS = 200; // thresholds are multiples of 1 / STEPS, and `counts` has STEPS + 1 entries
const REACH = 12; // pixels around the pointer in which the nearest gene is taken
const LABEL_PX = 12;
const LABEL_LENGTH = 24;
const MOST_LABELS = 70;

// Okabe-Ito colours, a darker and a lighter set; shape and arrow head say the same without colour.
const PALETTES = {
  light: { perturbed: "#E69F00", extended: "#56B4E9", activation: [0, 114, 178], repression: [213, 94, 0], unknown: [120, 120, 120], path: "#009E73" },
  dark: { perturbed: "#E69F00", extended: "#56B4E9", activation: [74, 163, 223], repression: [255, 118, 51], unknown: [160, 160, 160], path: "#2BC79B" },
};
const ARROWS = { activation: "arrow", repression: "bar", unknown: "vee" };
const signName = (sign) => (sign > 0 ? "activation" : sign < 0 ? "repression" : "unknown");

const views = new WeakMap();
let library;

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let view = views.get(parentElement);
  if (!view) {
    view = new NetworkView(parentElement);
    views.set(parentElement, view);
  }
  view.send = setTriggerValue;
  view.take(data);
  return () => {
    view.destroy();
    views.delete(parentElement);
  };
}

/** vis-network, fetched once per page from this very server. */
function loadLibrary() {
  if (!library) {
    library = new Promise((resolve, reject) => {
      const own = [...document.querySelectorAll("script[src]")].map((s) => s.src).find((src) => src.includes("/static/js/"));
      const root = own ? own.slice(0, own.indexOf("/static/js/") + 1) : `${window.location.origin}/`;
      const script = document.createElement("script");
      script.src = new URL(LIBRARY, root).href;
      script.onload = () => (window.vis ? resolve(window.vis) : reject(new Error("vis-network did not start")));
      script.onerror = () => reject(new Error("vis-network could not be loaded from this server"));
      document.head.appendChild(script);
    });
    library.catch(() => (library = undefined));
  }
  return library;
}

/** A column of an Arrow table as an array. */
const column = (table, name) => Array.from(table.getChild(name));

class NetworkView {
  constructor(parent) {
    const find = (selector) => parent.querySelector(selector);
    this.el = {
      root: find(".explorer"), slider: find(".slider"), exact: find(".exact"), status: find(".status"), canvas: find(".canvas"),
      empty: find(".empty"), tip: find(".tip"), legend: find(".legend"), fit: find(".fit"), reset: find(".reset"),
    };
    this.el.slider.addEventListener("input", () => this.drag(Number(this.el.slider.value)));
    this.el.slider.addEventListener("change", () => this.release(Number(this.el.slider.value)));
    this.el.exact.addEventListener("change", () => this.typed());
    this.el.fit.addEventListener("click", () => this.fit());
    this.el.reset.addEventListener("click", () => this.send("reset", Date.now()));
    this.el.empty.querySelector("button").addEventListener("click", () => this.goTo(this.offered));
    this.el.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.el.canvas.addEventListener("mouseleave", () => (this.el.tip.hidden = true));
    this.widths = new Map();
  }

  // ------------------------------------------------------------------ data from Python

  async take(data) {
    this.latest = data;
    let vis;
    try {
      vis = await loadLibrary();
    } catch (error) {
      this.message(`The picture cannot be drawn: ${error.message}. The edge table below still works.`);
      return;
    }
    if (data !== this.latest || this.gone) return; // a newer rerun came while the library loaded
    const newGraph = data.version !== this.version;
    const newRun = data.run !== this.run;
    const newView = JSON.stringify([data.view.mode, data.view.focus, data.view.hops, data.view.direction]) !== this.viewKey;
    const palette = this.isDark() ? PALETTES.dark : PALETTES.light;
    const newTheme = palette !== this.palette;
    Object.assign(this, { version: data.version, run: data.run, view: data.view, counts: data.counts, indirect: data.indirect, palette });
    this.viewKey = JSON.stringify([data.view.mode, data.view.focus, data.view.hops, data.view.direction]);
    if (newGraph) this.read(data);
    if (newGraph || newTheme || !this.network) this.build(vis, newRun);
    if (newTheme) this.drawLegend();
    this.setThreshold(data.view.threshold);
    if (newRun || (newView && data.view.mode === "ego")) this.fit(!newRun);
    this.paint();
    this.el.root.dataset.ready = String(Number(this.el.root.dataset.ready || 0) + 1); // tests and benchmarks wait for this
  }

  read(data) {
    this.names = column(data.genes, "gene").map(String);
    this.kind = column(data.genes, "perturbed").map(Number);
    this.x = column(data.genes, "x").map(Number);
    this.y = column(data.genes, "y").map(Number);
    this.source = column(data.edges, "source").map(Number);
    this.target = column(data.edges, "target").map(Number);
    this.weight = column(data.edges, "weight").map(Number);
    this.sign = column(data.edges, "sign").map(Number);
    this.outgoing = this.names.map(() => []);
    this.incoming = this.names.map(() => []);
    this.weight.forEach((_, e) => {
      this.outgoing[this.source[e]].push(e);
      this.incoming[this.target[e]].push(e);
    });
    this.unit = Math.max(14, Math.min(38, 560 / Math.sqrt(this.names.length + 1)));
  }

  build(vis, newRun) {
    const nodes = this.names.map((_, i) => this.node(i));
    const edges = this.weight.map((_, e) => this.edge(e));
    this.shownEdge = new Uint8Array(edges.length);
    this.shownNode = new Uint8Array(nodes.length);
    if (this.network && !newRun) {
      this.edges.clear();
      this.nodes.update(nodes);
      this.edges.add(edges);
      return;
    }
    if (this.network) this.network.destroy();
    this.nodes = new vis.DataSet(nodes);
    this.edges = new vis.DataSet(edges);
    this.network = new vis.Network(this.el.canvas, { nodes: this.nodes, edges: this.edges }, {
      physics: false,
      layout: { improvedLayout: false },
      interaction: { dragNodes: false, selectable: false, hover: false, hideEdgesOnZoom: false },
      edges: { smooth: false, selectionWidth: 0, hoverWidth: 0 },
      nodes: { borderWidth: 0, chosen: false },
    });
    this.network.on("click", (params) => this.click(params));
    this.network.on("afterDrawing", (ctx) => this.decorate(ctx));
  }

  node(i) {
    const perturbed = this.kind[i] === 1;
    const color = perturbed ? this.palette.perturbed : this.palette.extended;
    return {
      id: i, x: this.x[i], y: this.y[i], color: { background: color, border: color },
      shape: perturbed ? "dot" : "diamond", size: this.unit * (perturbed ? 0.5 : 0.45),
    };
  }

  edge(e) {
    const kind = signName(this.sign[e]);
    const strength = Math.max(0, Math.min(1, this.weight[e]));
    const [r, g, b] = this.palette[kind];
    return {
      id: e, from: this.source[e], to: this.target[e],
      width: this.unit * (0.03 + 0.1 * strength),
      color: { color: `rgba(${r},${g},${b},${0.4 + 0.5 * strength})`, inherit: false },
      arrows: { to: { enabled: true, type: ARROWS[kind], scaleFactor: this.unit / 34 } },
    };
  }

  // ------------------------------------------------------------------ threshold

  drag(value) {
    this.pending = value;
    this.el.exact.value = value.toFixed(3);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = undefined;
      if (!this.network) return;
      this.setThreshold(this.pending);
      this.network.redraw(); // in this very frame
    });
  }

  release(value) {
    clearTimeout(this.timer); // arrow keys release at every step: send the last one
    this.timer = setTimeout(() => this.send("released", value), 120);
  }

  typed() {
    const value = Number(this.el.exact.value);
    if (Number.isFinite(value)) this.goTo(Math.max(0, Math.min(1, value)));
  }

  goTo(value) {
    const step = Math.round(value * STEPS) / STEPS;
    this.drag(step);
    this.release(step);
  }

  setThreshold(value) {
    this.threshold = value;
    if (this.el.slider !== this.activeElement()) this.el.slider.value = value;
    this.el.exact.value = value.toFixed(3);
    const edges = this.view.mode === "ego" && this.view.focus !== null ? this.egoEdges(value) : this.strongest(value);
    this.show(edges);
    this.report(value);
  }

  activeElement() {
    return this.frame ? this.el.slider : null;
  }

  /** 1 for every edge above the threshold; edges come strongest first, so they are the first ones. */
  strongest(value) {
    const wanted = new Uint8Array(this.weight.length);
    for (let e = 0; e < wanted.length && this.weight[e] > value; e++) wanted[e] = 1;
    return wanted;
  }

  /** 1 for every edge above the threshold between genes at most `hops` edges from the focus; as GeneNetwork.neighbourhood. */
  egoEdges(value) {
    const both = this.view.direction === "both";
    const ways = [];
    if (both || this.view.direction === "out") ways.push([this.outgoing, this.target]);
    if (both || this.view.direction === "in") ways.push([this.incoming, this.source]);
    const near = new Uint8Array(this.names.length);
    near[this.view.focus] = 1;
    let frontier = [this.view.focus];
    for (let hop = 0; hop < this.view.hops && frontier.length; hop++) {
      const next = [];
      for (const gene of frontier) {
        for (const [links, far] of ways) {
          for (const e of links[gene]) {
            if (this.weight[e] <= value) break;
            if (!near[far[e]]) {
              near[far[e]] = 1;
              next.push(far[e]);
            }
          }
        }
      }
      frontier = next;
    }
    const wanted = new Uint8Array(this.weight.length);
    for (let e = 0; e < wanted.length && this.weight[e] > value; e++) wanted[e] = near[this.source[e]] & near[this.target[e]];
    return wanted;
  }

  show(wanted) {
    const genes = new Uint8Array(this.names.length);
    this.degree = new Uint32Array(this.names.length);
    let count = 0;
    for (let e = 0; e < wanted.length; e++) {
      if (wanted[e]) {
        count++;
        genes[this.source[e]] = genes[this.target[e]] = 1;
        this.degree[this.source[e]]++;
        this.degree[this.target[e]]++;
      }
    }
    if (this.view.focus !== null) genes[this.view.focus] = 1;
    for (const [a, b] of this.view.path) genes[a] = genes[b] = 1;
    // What is drawn is set straight in vis-network's lists: telling its DataSets edge by edge takes ten times longer.
    const listed = (flags) => Array.from(flags.keys()).filter((i) => flags[i]).map(String);
    this.network.body.edgeIndices = listed(wanted);
    this.network.body.nodeIndices = listed(genes);
    this.shownEdge = wanted;
    this.shownNode = genes;
    this.shownCount = count;
    this.order = undefined;
  }

  report(value) {
    const at = Math.max(0, Math.min(STEPS, Math.round(value * STEPS)));
    const n = (count) => count.toLocaleString("en");
    const total = this.counts[at];
    const genes = this.shownNode.reduce((a, b) => a + b, 0);
    const bold = document.createElement("b");
    bold.textContent = `${n(total)} edge${total === 1 ? "" : "s"}`;
    bold.dataset.count = total;
    const parts = [];
    const cut = this.view.mode === "ego" && value === this.view.threshold && this.view.around > this.shownCount;
    if (cut) parts.push(`of the ${n(this.view.around)} around ${this.names[this.view.focus].slice(0, 40)} the nearest and strongest ${n(this.shownCount)} are drawn`);
    else if (this.view.mode === "ego") parts.push(`${n(this.shownCount)} of them in this view`);
    else if (total > this.shownCount) parts.push(`the strongest ${n(this.shownCount)} drawn, ${n(total - this.shownCount)} hidden`);
    if (this.view.mode === "ego" && value < this.view.floor) parts.push("release the slider to load weaker edges");
    parts.push(`${n(genes)} gene${genes === 1 ? "" : "s"} shown`);
    if (this.indirect[at]) parts.push(`${n(this.indirect[at])} edges start at a gene that was never perturbed: no direct evidence`);
    this.el.status.replaceChildren(bold, document.createTextNode(` between different genes have W > ${value.toFixed(3)}; ${parts.join("; ")}.`));
    this.reportEmpty(value, total);
  }

  reportEmpty(value, total) {
    if (this.shownCount > 0) {
      this.el.empty.hidden = true;
      return;
    }
    const ego = this.view.mode === "ego" && this.view.focus !== null;
    const best = ego ? this.view.strongest : this.weight.length ? this.weight[Math.min(49, this.weight.length - 1)] : null;
    const where = ego ? `at ${this.names[this.view.focus].slice(0, 40)} in this direction` : "between different genes";
    this.offered = best === null ? null : Math.max(0, Math.ceil(best * STEPS - 1) / STEPS);
    if (this.offered !== null && this.offered >= value) this.offered = Math.max(0, this.offered - 1 / STEPS);
    let text = `No edge ${where} has W above ${value.toFixed(3)}.`;
    if (!ego && total > 0) text = "No edge is drawn here.";
    if (best === null) text = ego ? `There is no edge ${where} at all.` : "This network has no pair of different genes.";
    this.message(text, this.offered === null ? null : `Show edges above ${this.offered.toFixed(3)}`);
  }

  message(text, action) {
    this.el.empty.querySelector("p").textContent = text;
    const button = this.el.empty.querySelector("button");
    button.hidden = !action;
    button.textContent = action || "";
    this.el.empty.hidden = false;
  }

  /** Draw once in the next frame, however often this is called before it; network.redraw() would draw at every call. */
  paint() {
    this.network.body.emitter.emit("_requestRedraw");
  }

  // ------------------------------------------------------------------ pointer

  /** The nearest visible gene within REACH pixels of a point of the canvas, or -1: dots of few pixels are hard to hit. */
  nearest(point) {
    let best = -1;
    const { x: left, y: top } = this.network.canvasToDOM({ x: 0, y: 0 });
    const scale = this.network.getScale();
    let limit = Math.max(REACH, (this.unit / 2) * scale + 2) ** 2;
    for (let i = 0; i < this.names.length; i++) {
      if (!this.shownNode[i]) continue;
      const dx = left + this.x[i] * scale - point.x;
      const dy = top + this.y[i] * scale - point.y;
      const distance = dx * dx + dy * dy;
      if (distance < limit) {
        limit = distance;
        best = i;
      }
    }
    return best;
  }

  click(params) {
    const gene = this.nearest(params.pointer.DOM);
    if (gene >= 0) {
      this.view = { ...this.view, focus: gene }; // mark it now; Python answers with the rest
      this.order = undefined;
      this.paint();
      this.send("clicked", this.names[gene]);
    }
  }

  hover(event) {
    if (!this.network) return;
    const box = this.el.canvas.getBoundingClientRect();
    const point = { x: event.clientX - box.left, y: event.clientY - box.top };
    const gene = this.nearest(point);
    this.el.canvas.style.cursor = gene >= 0 ? "pointer" : "grab";
    this.el.tip.hidden = gene < 0;
    if (gene < 0) return;
    const count = (links) => links[gene].reduce((sum, e) => sum + this.shownEdge[e], 0);
    const what = this.kind[gene] === 1 ? "perturbed in this screen" : "never perturbed";
    this.el.tip.textContent = `${this.names[gene]}\n${what}\nregulates ${count(this.outgoing)}, regulated by ${count(this.incoming)} in this view`;
    const left = Math.min(point.x + 14, Math.max(0, box.width - this.el.tip.offsetWidth - 4));
    const top = point.y + 18 + this.el.tip.offsetHeight > box.height ? point.y - this.el.tip.offsetHeight - 10 : point.y + 18;
    this.el.tip.style.left = `${left}px`;
    this.el.tip.style.top = `${Math.max(0, top)}px`;
  }

  fit(animate = true) {
    if (!this.network) return;
    const all = this.names.map((_, i) => i);
    const shown = all.filter((i) => this.shownNode[i]);
    this.network.fit({ nodes: shown.length ? shown : all, maxZoomLevel: 1.2, animation: animate ? { duration: 250 } : false });
  }

  // ------------------------------------------------------------------ drawing over the network

  decorate(ctx) {
    const scale = this.network.getScale();
    ctx.save();
    this.drawFocusEdges(ctx, scale);
    for (const [a, b] of this.view.path) this.drawPathEdge(ctx, a, b, scale);
    if (this.view.focus !== null && this.shownNode[this.view.focus]) {
      ctx.beginPath();
      ctx.arc(this.x[this.view.focus], this.y[this.view.focus], this.unit * 0.62 + 4 / scale, 0, 2 * Math.PI);
      ctx.lineWidth = 2.5 / scale;
      ctx.strokeStyle = this.textColor();
      ctx.stroke();
    }
    this.drawLabels(ctx, scale);
    ctx.restore();
  }

  /** The chosen gene's own edges once more, stronger, so that they stand out from the rest. */
  drawFocusEdges(ctx, scale) {
    const gene = this.view.focus;
    if (gene === null) return;
    ctx.lineWidth = 2 / scale;
    for (const e of [...this.outgoing[gene], ...this.incoming[gene]]) {
      if (!this.shownEdge[e]) continue;
      ctx.strokeStyle = `rgb(${this.palette[signName(this.sign[e])].join(",")})`;
      ctx.beginPath();
      ctx.moveTo(this.x[this.source[e]], this.y[this.source[e]]);
      ctx.lineTo(this.x[this.target[e]], this.y[this.target[e]]);
      ctx.stroke();
    }
  }

  drawPathEdge(ctx, a, b, scale) {
    const dx = this.x[b] - this.x[a], dy = this.y[b] - this.y[a];
    const length = Math.hypot(dx, dy) || 1;
    const gap = this.unit * 0.55;
    const head = Math.min(length / 3, 12 / scale);
    const end = { x: this.x[b] - (dx / length) * gap, y: this.y[b] - (dy / length) * gap };
    ctx.strokeStyle = ctx.fillStyle = this.palette.path;
    ctx.lineWidth = 4 / scale;
    ctx.beginPath();
    ctx.moveTo(this.x[a], this.y[a]);
    ctx.lineTo(end.x - (dx / length) * head * 0.8, end.y - (dy / length) * head * 0.8);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(end.x, end.y);
    ctx.lineTo(end.x - (dx * head - dy * head * 0.6) / length, end.y - (dy * head + dx * head * 0.6) / length);
    ctx.lineTo(end.x - (dx * head + dy * head * 0.6) / length, end.y - (dy * head - dx * head * 0.6) / length);
    ctx.closePath();
    ctx.fill();
  }

  /** Names of as many genes as fit without covering one another: the focus and the path first, then by number of edges. */
  drawLabels(ctx, scale) {
    if (!this.order) this.order = this.labelOrder();
    const box = this.el.canvas.getBoundingClientRect();
    const { x: left, y: top } = this.network.canvasToDOM({ x: 0, y: 0 });
    const placed = [];
    ctx.font = `${LABEL_PX / scale}px ${this.css("--st-font") || "sans-serif"}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    ctx.lineWidth = 3 / scale;
    ctx.lineJoin = "round";
    ctx.strokeStyle = this.background();
    ctx.fillStyle = this.textColor();
    for (const i of this.order) {
      const name = this.names[i].length > LABEL_LENGTH ? `${this.names[i].slice(0, LABEL_LENGTH - 1)}…` : this.names[i];
      if (!this.widths.has(name)) this.widths.set(name, ctx.measureText(name).width * scale);
      const half = this.widths.get(name) / 2 + 2;
      const px = left + this.x[i] * scale, py = top + this.y[i] * scale + (this.unit / 2) * scale + 3;
      if (px < 0 || py < 0 || px > box.width || py > box.height) continue;
      const middle = Math.max(half, Math.min(box.width - half, px)); // a long name at the border stays inside
      const rect = [middle - half, py, middle + half, py + LABEL_PX + 2];
      if (placed.some((p) => rect[0] < p[2] && p[0] < rect[2] && rect[1] < p[3] && p[1] < rect[3])) continue;
      placed.push(rect);
      const y = this.y[i] + this.unit / 2 + 3 / scale;
      ctx.strokeText(name, (middle - left) / scale, y);
      ctx.fillText(name, (middle - left) / scale, y);
      if (placed.length >= MOST_LABELS) break;
    }
  }

  labelOrder() {
    const first = new Set(this.view.path.flat());
    if (this.view.focus !== null) first.add(this.view.focus);
    const rank = (i) => (first.has(i) ? 1e9 : 0) + this.degree[i];
    return this.names.map((_, i) => i).filter((i) => this.shownNode[i]).sort((a, b) => rank(b) - rank(a));
  }

  // ------------------------------------------------------------------ theme

  css(name) {
    return getComputedStyle(this.el.root).getPropertyValue(name).trim();
  }
  textColor() {
    return this.css("--st-text-color") || "#31333F";
  }
  background() {
    return this.css("--st-background-color") || "#ffffff";
  }
  isDark() {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = this.background();
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
    return 0.3 * r + 0.6 * g + 0.1 * b < 128;
  }

  drawLegend() {
    const rgb = (c) => `rgb(${c.join(",")})`;
    const p = this.palette;
    const dot = `<circle cx="10" cy="7" r="5" fill="${p.perturbed}"/>`;
    const diamond = `<path d="M10 1 L16 7 L10 13 L4 7 Z" fill="${p.extended}"/>`;
    const line = (c) => `<path d="M1 7 H18" stroke="${c}" stroke-width="2"/>`;
    const entries = [
      [dot, "perturbed gene"],
      [diamond, "extended gene, never perturbed"],
      [`${line(rgb(p.activation))}<path d="M12 2 L20 7 L12 12 Z" fill="${rgb(p.activation)}"/>`, "activates: target falls when the source is knocked down"],
      [`${line(rgb(p.repression))}<path d="M18 1 V13" stroke="${rgb(p.repression)}" stroke-width="3"/>`, "represses: target rises"],
      [`${line(rgb(p.unknown))}<path d="M13 2 L19 7 L13 12" stroke="${rgb(p.unknown)}" fill="none" stroke-width="2"/>`, "sign not known: no clear effect measured"],
      [`<path d="M1 7 H19" stroke="${p.path}" stroke-width="4"/>`, "traced path"],
    ];
    this.el.legend.replaceChildren(...entries.map(([drawing, words]) => {
      const entry = document.createElement("span");
      const svg = new DOMParser().parseFromString(`<svg xmlns="http://www.w3.org/2000/svg" width="22" height="14" aria-hidden="true">${drawing}</svg>`, "image/svg+xml");
      entry.append(document.importNode(svg.documentElement, true), document.createTextNode(words));
      return entry;
    }));
  }

  destroy() {
    this.gone = true;
    clearTimeout(this.timer);
    if (this.frame) cancelAnimationFrame(this.frame);
    if (this.network) this.network.destroy();
  }
}
