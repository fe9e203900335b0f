// The network picture around vis-network. Python sends genes, edges (strongest first) and the view; the
// threshold acts here, in the browser, and Python hears it on release. Names from the data only ever become
// text: canvas text, textContent or escaped SVG text.

const LIBRARY = "app/static/vis-network/vis-network.min.js?v=10.1.5";
const STEPS = 200; // the slider has so many steps over the scale, and `counts` has STEPS + 1 entries
const REACH = 12; // pixels around the pointer in which the nearest gene is taken
const EDGE_REACH = 6; // the same for edges, where no gene is near
const LABEL_PX = 12;
const LABEL_LENGTH = 24;
const MOST_LABELS = 70;
// Edges up to which those without direct evidence are dashed; of more, dashes would double the time to paint.
const MOST_DASHED = 1500;
// The chart of thresholds and this picture tell each other of a drag.
const THRESHOLD_EVENT = "gpovae-threshold";

// Okabe-Ito colours, a darker and a lighter set; shape, arrow head and dashes say the same without colour.
const PALETTES = {
  light: {
    perturbed: "#E69F00",
    extended: "#56B4E9",
    activation: [0, 114, 178],
    repression: [213, 94, 0],
    unknown: [120, 120, 120],
    path: "#009E73",
    communities: ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B3A200"],
    rest: "#9A9A9A",
  },
  dark: {
    perturbed: "#E69F00",
    extended: "#56B4E9",
    activation: [74, 163, 223],
    repression: [255, 118, 51],
    unknown: [160, 160, 160],
    path: "#2BC79B",
    communities: ["#4AA3DF", "#E69F00", "#2BC79B", "#E59BC4", "#9AD7F5", "#FF7633", "#F0E442"],
    rest: "#8A8A8A",
  },
};
const ARROWS = { activation: "arrow", repression: "bar", unknown: "vee" };
const SIGN_WORDS = { activation: "activates", repression: "represses", unknown: "sign not known" };
const signName = (sign) => (sign > 0 ? "activation" : sign < 0 ? "repression" : "unknown");
const short = (name, length) => (name.length > length ? `${name.slice(0, length - 1)}…` : name);
const number = (count) => count.toLocaleString("en");

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
      const own = [...document.querySelectorAll("script[src]")]
        .map((s) => s.src)
        .find((src) => src.includes("/static/js/"));
      const root = own ? own.slice(0, own.indexOf("/static/js/") + 1) : `${window.location.origin}/`;
      const script = document.createElement("script");
      script.src = new URL(LIBRARY, root).href;
      script.onload = () =>
        window.vis ? resolve(window.vis) : reject(new Error("vis-network did not start"));
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
      root: find(".explorer"),
      slider: find(".slider"),
      exact: find(".exact"),
      status: find(".status"),
      canvas: find(".canvas"),
      empty: find(".empty"),
      tip: find(".tip"),
      legend: find(".legend"),
      measure: find(".measure"),
      loops: find(".loops"),
      blind: find(".blind"),
      undo: find(".undo"),
      redo: find(".redo"),
      full: find(".full"),
      ring: find(".ring"),
    };
    const on = (selector, event, action) => find(selector).addEventListener(event, action);
    on(".slider", "input", () => this.drag(this.fromStep(this.el.slider.value)));
    on(".slider", "change", () => this.release(this.fromStep(this.el.slider.value)));
    on(".exact", "change", () => this.typed());
    on(".fit", "click", () => this.fit());
    on(".reset", "click", () => this.send("reset", Date.now()));
    on(".undo", "click", () => this.send("stepped", { by: -1, at: Date.now() }));
    on(".redo", "click", () => this.send("stepped", { by: 1, at: Date.now() }));
    on(".loops", "click", () => this.send("loops", !this.view.self_loops));
    on(".blind", "click", () => this.send("blind", !this.view.blind));
    on(".svg", "click", () => this.saveSvg());
    on(".png", "click", () => this.savePng());
    on(".full", "click", () => this.toggleFull());
    on(".empty button", "click", () => this.goTo(this.offered));
    on(".canvas", "mousemove", (event) => this.hover(event));
    on(".canvas", "mouseleave", () => (this.el.tip.hidden = true));
    on(".explorer", "keydown", (event) => this.key(event));
    this.heard = (event) => this.hear(event.detail);
    window.addEventListener(THRESHOLD_EVENT, this.heard);
    this.widths = new Map();
    this.el.root.picture = this; // tests and benchmarks ask it where a gene is drawn
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
    const view = data.view;
    const newGraph = data.version !== this.version;
    const said = JSON.stringify([data.run, data.version, view]);
    const dark = this.isDark();
    if (said === this.said && dark === this.dark && view.threshold === this.threshold) {
      this.ready(); // the script ran again and nothing has changed here
      return;
    }
    if (newGraph && !data.genes) {
      // Python believes that this graph is here already; it was, before this picture was made anew.
      this.send("missing", Date.now());
      return;
    }
    this.said = said;
    this.dark = dark;
    const newRun = data.run !== this.run;
    const viewKey = JSON.stringify([view.mode, view.focus, view.hops, view.direction, view.highlight]);
    const newView = viewKey !== this.viewKey;
    const flyTo =
      view.mode !== "ego" &&
      view.focus !== null &&
      view.focus !== this.view?.focus &&
      view.focus !== this.clicked &&
      !newRun;
    this.clicked = undefined;
    const palette = dark ? PALETTES.dark : PALETTES.light;
    const newTheme = palette !== this.palette;
    Object.assign(this, { version: data.version, run: data.run, view, palette, viewKey });
    if (newGraph) this.read(data);
    const membersKey = view.members ? view.members.join() : "";
    const newMembers = membersKey !== this.membersKey;
    this.membersKey = membersKey;
    if (newGraph || newTheme || !this.network) this.build(vis, newRun);
    else if (newMembers) this.nodes.update(this.names.map((_, i) => this.node(i)));
    if (newTheme || newMembers) this.drawLegend();
    this.drawControls();
    this.setThreshold(view.threshold);
    if (newRun || (newView && (view.mode === "ego" || view.highlight !== null))) this.fit(!newRun);
    else if (flyTo) this.flyTo(view.focus);
    this.paint();
    this.ready();
  }

  /** Tests and benchmarks wait for this. */
  ready() {
    this.el.ring.hidden = true;
    this.el.root.dataset.ready = String(Number(this.el.root.dataset.ready || 0) + 1);
  }

  read(data) {
    Object.assign(this, {
      counts: data.counts,
      indirect: data.indirect,
      hidden: data.hidden,
      rare: data.rare,
      often: data.often,
      facts: data.facts,
    });
    this.names = column(data.genes, "gene").map(String);
    this.kind = column(data.genes, "perturbed").map(Number);
    this.x = column(data.genes, "x").map(Number);
    this.y = column(data.genes, "y").map(Number);
    this.source = column(data.edges, "source").map(Number);
    this.target = column(data.edges, "target").map(Number);
    this.weight = column(data.edges, "weight").map(Number);
    this.sign = column(data.edges, "sign").map(Number);
    this.frequency = column(data.edges, "frequency").map(Number);
    this.outgoing = this.names.map(() => []);
    this.incoming = this.names.map(() => []);
    this.weight.forEach((_, e) => {
      this.outgoing[this.source[e]].push(e);
      this.incoming[this.target[e]].push(e);
    });
    this.unit = Math.max(14, Math.min(48, 560 / Math.sqrt(this.names.length + 1)));
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
    this.network = new vis.Network(
      this.el.canvas,
      { nodes: this.nodes, edges: this.edges },
      {
        physics: false,
        layout: { improvedLayout: false },
        interaction: {
          dragNodes: false,
          selectable: false,
          hover: false,
          hideEdgesOnZoom: false,
          keyboard: { enabled: true, bindToWindow: false },
        },
        edges: {
          smooth: false,
          selectionWidth: 0,
          hoverWidth: 0,
          selfReference: { size: this.unit * 0.6, angle: Math.PI / 4 },
        },
        nodes: { borderWidth: 0, chosen: false },
      },
    );
    this.network.on("click", (params) => this.click(params));
    for (const moved of ["zoom", "dragging"]) this.network.on(moved, () => (this.el.ring.hidden = true));
    this.network.on("afterDrawing", (ctx) => this.decorate(ctx));
  }

  node(i) {
    const perturbed = this.kind[i] === 1;
    const color = this.nodeColor(i);
    return {
      id: i,
      x: this.x[i],
      y: this.y[i],
      color: { background: color, border: color },
      shape: perturbed ? "dot" : "diamond",
      size: this.unit * (perturbed ? 0.5 : 0.45),
    };
  }

  nodeColor(i) {
    if (!this.view.members) return this.kind[i] === 1 ? this.palette.perturbed : this.palette.extended;
    return this.palette.communities[this.view.members[i]] || this.palette.rest;
  }

  edge(e) {
    const kind = signName(this.sign[e]);
    return {
      id: e,
      from: this.source[e],
      to: this.target[e],
      width: this.edgeWidth(e),
      color: { color: this.edgeColor(e), inherit: false },
      dashes: this.isDashed(e) ? [this.unit * 0.35, this.unit * 0.25] : false,
      arrows: { to: { enabled: true, type: ARROWS[kind], scaleFactor: this.unit / 34 } },
    };
  }

  share(e) {
    return Math.max(0, Math.min(1, this.weight[e] / this.view.scale));
  }
  edgeWidth(e) {
    return Math.min(this.unit, 38) * (0.03 + 0.09 * this.share(e));
  }
  edgeColor(e) {
    const [r, g, b] = this.palette[signName(this.sign[e])];
    const pale = this.kind[this.source[e]] !== 1 && !this.isDashed(e) ? 0.5 : 1;
    return `rgba(${r},${g},${b},${((0.4 + 0.5 * this.share(e)) * pale).toFixed(3)})`;
  }
  /** No direct evidence: dashed where edges are few enough, pale where not. */
  isDashed(e) {
    return this.kind[this.source[e]] !== 1 && this.weight.length <= MOST_DASHED;
  }

  drawControls() {
    const view = this.view;
    this.el.measure.textContent =
      view.measure === "W" ? "Show edges with W above" : "Show influences T above";
    this.el.exact.max = view.scale;
    this.el.loops.setAttribute("aria-pressed", String(view.self_loops));
    this.el.blind.setAttribute("aria-pressed", String(view.blind));
    this.el.undo.disabled = !view.undo;
    this.el.redo.disabled = !view.redo;
  }

  // ------------------------------------------------------------------ threshold

  fromStep(step) {
    return (Number(step) / STEPS) * this.view.scale;
  }
  toStep(value) {
    return Math.max(0, Math.min(STEPS, Math.round((value / this.view.scale) * STEPS)));
  }
  /** A threshold in as many digits as the slider's steps need. */
  words(value) {
    const digits = Math.max(0, Math.min(12, 3 - Math.floor(Math.log10(this.view.scale) + 1e-9)));
    return value.toFixed(digits);
  }

  drag(value, tell = true) {
    this.pending = value;
    this.el.exact.value = this.words(value);
    if (tell) this.tell(value);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      if (this.network) {
        this.setThreshold(this.pending);
        this.network.redraw(); // in this very frame
      }
      this.frame = undefined;
    });
  }

  release(value) {
    clearTimeout(this.timer); // arrow keys release at every step: send the last one
    this.timer = setTimeout(() => this.send("released", value), 120);
  }

  typed() {
    const value = Number(this.el.exact.value);
    if (Number.isFinite(value)) this.goTo(Math.max(0, Math.min(this.view.scale, value)));
  }

  goTo(value) {
    const step = this.fromStep(this.toStep(value));
    this.drag(step);
    this.release(step);
  }

  tell(value) {
    window.dispatchEvent(
      new CustomEvent(THRESHOLD_EVENT, { detail: { from: "picture", measure: this.view.measure, value } }),
    );
  }

  /** The line in the chart of thresholds was dragged. */
  hear(detail) {
    if (detail.from === "picture" || !this.view || detail.measure !== this.view.measure) return;
    this.el.slider.value = this.toStep(detail.value);
    this.drag(detail.value, false);
  }

  setThreshold(value) {
    this.threshold = value;
    if (!this.frame) this.el.slider.value = this.toStep(value);
    this.el.exact.value = this.words(value);
    this.show(
      this.view.mode === "ego" && this.view.focus !== null ? this.egoEdges(value) : this.strongest(value),
    );
    this.report(value);
  }

  /** 1 for every edge above the threshold; edges come strongest first, so they are the first ones. */
  strongest(value) {
    const wanted = new Uint8Array(this.weight.length);
    const { members, highlight } = this.view;
    for (let e = 0; e < wanted.length && this.weight[e] > value; e++) {
      wanted[e] =
        highlight === null || (members[this.source[e]] === highlight && members[this.target[e]] === highlight)
          ? 1
          : 0;
    }
    return wanted;
  }

  /**
   * 1 for every edge above the threshold between genes at most `hops` edges from the focus; as
   * GeneNetwork.neighbourhood.
   */
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
    for (let e = 0; e < wanted.length && this.weight[e] > value; e++)
      wanted[e] = near[this.source[e]] & near[this.target[e]];
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
    const { focus, goal, path, paths, edge, members, highlight } = this.view;
    for (const gene of [focus, goal]) if (gene !== null) genes[gene] = 1;
    for (const [a, b] of [...path, ...paths, ...(edge ? [edge] : [])]) genes[a] = genes[b] = 1;
    if (highlight !== null)
      members.forEach((member, i) => {
        if (member === highlight) genes[i] = 1;
      });
    // What is drawn is set straight in vis-network's lists: telling its DataSets edge by edge takes ten times
    // longer.
    const listed = (flags) =>
      Array.from(flags.keys())
        .filter((i) => flags[i])
        .map(String);
    this.network.body.edgeIndices = listed(wanted);
    this.network.body.nodeIndices = listed(genes);
    this.shownEdge = wanted;
    this.shownNode = genes;
    this.shownCount = count;
    this.order = undefined;
  }

  report(value) {
    const at = this.toStep(value);
    const view = this.view;
    const total = this.counts[at];
    const genes = this.shownNode.reduce((a, b) => a + b, 0);
    const bold = document.createElement("b");
    bold.textContent = `${number(total)} ${view.measure === "W" ? "edge" : "pair"}${total === 1 ? "" : "s"}`;
    bold.dataset.count = total;
    const parts = [];
    const ego = view.mode === "ego";
    const cut = ego && value === view.threshold && view.around > this.shownCount;
    if (cut)
      parts.push(
        `of the ${number(view.around)} around ${short(this.names[view.focus], 40)} ` +
          `the nearest and strongest ${number(this.shownCount)} are drawn`,
      );
    else if (ego) parts.push(`${number(this.shownCount)} of them in this view`);
    else if (view.highlight !== null)
      parts.push(`${number(this.shownCount)} of them within community ${view.highlight + 1} are drawn`);
    else if (total > this.shownCount)
      parts.push(`the strongest ${number(this.shownCount)} drawn, ${number(total - this.shownCount)} hidden`);
    if (ego && value < view.floor) parts.push("release the slider to load weaker edges");
    parts.push(`${number(genes)} gene${genes === 1 ? "" : "s"} shown`);
    if (this.indirect[at])
      parts.push(
        `${number(this.indirect[at])} start at a gene never perturbed, or held out: no direct evidence`,
      );
    if (this.hidden?.[at])
      parts.push(
        `${number(this.hidden[at])} more without direct evidence ` +
          "(source never perturbed, or held out) are hidden",
      );
    if (this.rare?.[at])
      parts.push(
        `${number(this.rare[at])} more that come back in fewer than ` +
          `${Math.round(100 * this.often)} % of the ensemble are hidden`,
      );
    const between = view.self_loops ? "" : " between different genes";
    const falseRate = view.false_rate?.[at];
    if (falseRate !== null && falseRate !== undefined)
      parts.push(
        `${falseRate < 0.01 ? "under 1" : `about ${(100 * falseRate).toFixed(0)}`} % of them expected false`,
      );
    this.el.status.replaceChildren(
      bold,
      document.createTextNode(`${between} have ${view.measure} > ${this.words(value)}; ${parts.join("; ")}.`),
    );
    this.reportEmpty(value, total);
  }

  reportEmpty(value, total) {
    if (this.shownCount > 0 || this.view.path.length) {
      this.el.empty.hidden = true;
      return;
    }
    const ego = this.view.mode === "ego" && this.view.focus !== null;
    const best = ego
      ? this.view.strongest
      : this.weight.length
        ? this.weight[Math.min(49, this.weight.length - 1)]
        : null;
    const where = ego
      ? `at ${short(this.names[this.view.focus], 40)} in this direction`
      : this.view.self_loops
        ? "of this network"
        : "between different genes";
    const below = best === null ? null : Math.max(0, Math.ceil((best / this.view.scale) * STEPS - 1e-9) - 1);
    this.offered =
      below === null ? null : this.fromStep(Math.min(below, Math.max(0, this.toStep(value) - 1)));
    let text = `No edge ${where} has ${this.view.measure} above ${this.words(value)}.`;
    if (!ego && total > 0) text = "No edge is drawn here.";
    if (best === null)
      text = ego
        ? `There is no edge ${where} at all: ${this.view.measure} is 0 there.`
        : `This network has no edge: ${this.view.measure} is 0 for every pair of genes.`;
    this.message(text, this.offered === null ? null : `Show edges above ${this.words(this.offered)}`);
  }

  message(text, action) {
    this.el.empty.querySelector("p").textContent = text;
    const button = this.el.empty.querySelector("button");
    button.hidden = !action;
    button.textContent = action || "";
    this.el.empty.hidden = false;
  }

  /**
   * Draw once in the next frame, however often this is called before it; network.redraw() would draw at every
   * call.
   */
  paint() {
    this.network.body.emitter.emit("_requestRedraw");
  }

  // ------------------------------------------------------------------ pointer and keys

  /** Where a gene is drawn, in pixels from the top left of the canvas. */
  placeOf(gene) {
    return this.network.canvasToDOM({ x: this.x[gene], y: this.y[gene] });
  }

  /**
   * The nearest visible gene within REACH pixels of a point of the canvas, or -1: dots of few pixels are hard
   * to hit.
   */
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

  /**
   * The visible edge nearest to a point within EDGE_REACH pixels, or -1; of edges that lie on one another the
   * strongest.
   */
  nearestEdge(point) {
    const { x: left, y: top } = this.network.canvasToDOM({ x: 0, y: 0 });
    const scale = this.network.getScale();
    const px = (point.x - left) / scale,
      py = (point.y - top) / scale;
    let best = -1;
    let limit = (EDGE_REACH / scale) ** 2;
    for (let e = 0; e < this.weight.length; e++) {
      if (!this.shownEdge[e]) continue;
      const distance = this.distance(e, px, py);
      if (distance < limit * 0.98) {
        limit = distance;
        best = e;
      }
    }
    return best;
  }

  distance(e, px, py) {
    const ax = this.x[this.source[e]],
      ay = this.y[this.source[e]];
    const dx = this.x[this.target[e]] - ax,
      dy = this.y[this.target[e]] - ay;
    const length = dx * dx + dy * dy;
    if (length === 0) return Infinity;
    const t = Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / length));
    return (ax + t * dx - px) ** 2 + (ay + t * dy - py) ** 2;
  }

  click(params) {
    const gene = this.nearest(params.pointer.DOM);
    const event = params.event?.srcEvent;
    if (gene >= 0 && event?.shiftKey) {
      this.send("aimed", this.names[gene]);
      this.mark(gene);
    } else if (gene >= 0) {
      this.clicked = gene;
      this.send("clicked", this.names[gene]);
      this.mark(gene);
    } else {
      const edge = this.nearestEdge(params.pointer.DOM);
      if (edge >= 0) this.send("edge", [this.names[this.source[edge]], this.names[this.target[edge]]]);
    }
  }

  /**
   * A ring around a gene at once, over the picture: painting thousands of edges would hold up the question to
   * Python.
   */
  mark(gene) {
    const { x, y } = this.placeOf(gene);
    const radius = this.unit * 0.62 * this.network.getScale() + 5;
    Object.assign(this.el.ring.style, {
      left: `${x - radius}px`,
      top: `${y - radius}px`,
      width: `${2 * radius}px`,
      height: `${2 * radius}px`,
    });
    this.el.ring.hidden = false;
  }

  key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.target === this.el.exact) return;
    const by =
      event.key.toLowerCase() === "y" || (event.shiftKey && event.key.toLowerCase() === "z")
        ? 1
        : event.key.toLowerCase() === "z"
          ? -1
          : 0;
    if (!by || !(by < 0 ? this.view.undo : this.view.redo)) return;
    event.preventDefault();
    this.send("stepped", { by, at: Date.now() });
  }

  hover(event) {
    if (!this.network) return;
    const box = this.el.canvas.getBoundingClientRect();
    const point = { x: event.clientX - box.left, y: event.clientY - box.top };
    const gene = this.nearest(point);
    const edge = gene < 0 ? this.nearestEdge(point) : -1;
    this.el.canvas.style.cursor = gene >= 0 || edge >= 0 ? "pointer" : "grab";
    this.el.tip.hidden = gene < 0 && edge < 0;
    if (this.el.tip.hidden) return;
    this.el.tip.textContent = gene >= 0 ? this.geneTip(gene) : this.edgeTip(edge);
    const left = Math.min(point.x + 14, Math.max(0, box.width - this.el.tip.offsetWidth - 4));
    const top =
      point.y + 18 + this.el.tip.offsetHeight > box.height
        ? point.y - this.el.tip.offsetHeight - 10
        : point.y + 18;
    this.el.tip.style.left = `${left}px`;
    this.el.tip.style.top = `${Math.max(0, top)}px`;
  }

  geneTip(gene) {
    const count = (links) => links[gene].reduce((sum, e) => sum + this.shownEdge[e], 0);
    const lines = [
      this.names[gene],
      this.kind[gene] === 1 ? "perturbed in this screen" : "never perturbed, or held out",
    ];
    if (this.view.members)
      lines.push(
        this.view.members[gene] < 0 ? "in no community" : `community ${this.view.members[gene] + 1}`,
      );
    lines.push(`regulates ${count(this.outgoing)}, regulated by ${count(this.incoming)} in this view`);
    return lines.join("\n");
  }

  edgeTip(e) {
    const known =
      this.kind[this.source[e]] === 1
        ? ""
        : "\nno direct evidence: the source was never perturbed, or held out";
    const ends = `${short(this.names[this.source[e]], 60)} → ${short(this.names[this.target[e]], 60)}`;
    const often = this.frequency[e] < 0 ? "" : `\nin ${this.frequency[e]} % of the ensemble`;
    const value = `${this.view.measure} = ${this.weight[e].toPrecision(3)}`;
    const sign = SIGN_WORDS[signName(this.sign[e])];
    return `${ends}\n${value}, ${sign}${often}${known}\nclick for the evidence`;
  }

  fit(animate = true) {
    if (!this.network) return;
    const all = this.names.map((_, i) => i);
    const shown = all.filter((i) => this.shownNode[i]);
    this.network.fit({
      nodes: shown.length ? shown : all,
      maxZoomLevel: 1.2,
      animation: animate ? { duration: 250 } : false,
    });
  }

  /** Bring a gene that was searched for into the middle; one that is in sight stays where it is. */
  flyTo(gene) {
    const place = this.placeOf(gene);
    const { clientWidth, clientHeight } = this.el.canvas;
    const inside = place.x > 40 && place.y > 40 && place.x < clientWidth - 40 && place.y < clientHeight - 40;
    if (inside && this.network.getScale() * this.unit > 6) return;
    const scale = Math.max(this.network.getScale(), 10 / this.unit);
    this.network.moveTo({
      position: { x: this.x[gene], y: this.y[gene] },
      scale,
      animation: { duration: 300 },
    });
  }

  async toggleFull() {
    if (document.fullscreenElement) return document.exitFullscreen();
    if (this.el.root.classList.contains("fills")) return this.el.root.classList.remove("fills");
    try {
      await this.el.root.requestFullscreen();
    } catch {
      this.el.root.classList.add("fills"); // not allowed here: fill the window instead
    }
  }

  // ------------------------------------------------------------------ drawing over the network

  decorate(ctx) {
    const scale = this.network.getScale();
    ctx.save();
    this.drawFocusEdges(ctx, scale);
    ctx.globalAlpha = 0.35;
    for (const [a, b] of this.view.paths) this.drawArrow(ctx, a, b, this.palette.path, 1.5, scale);
    ctx.globalAlpha = 1;
    for (const [a, b] of this.view.path) this.drawArrow(ctx, a, b, this.palette.path, 4, scale);
    if (this.view.edge) this.drawArrow(ctx, ...this.view.edge, this.textColor(), 3.5, scale);
    this.drawRing(ctx, this.view.focus, scale, []);
    this.drawRing(ctx, this.view.goal, scale, [4 / scale, 4 / scale]);
    this.drawLabels(ctx, scale);
    ctx.restore();
  }

  drawRing(ctx, gene, scale, dashes) {
    if (gene === null || !this.shownNode[gene]) return;
    ctx.beginPath();
    ctx.setLineDash(dashes);
    ctx.arc(this.x[gene], this.y[gene], this.unit * 0.62 + 4 / scale, 0, 2 * Math.PI);
    ctx.lineWidth = 2.5 / scale;
    ctx.strokeStyle = this.textColor();
    ctx.stroke();
    ctx.setLineDash([]);
  }

  /** The chosen gene's own edges once more, stronger, so that they stand out from the rest. */
  drawFocusEdges(ctx, scale) {
    const gene = this.view.focus;
    if (gene === null) return;
    ctx.lineWidth = 2 / scale;
    for (const e of [...this.outgoing[gene], ...this.incoming[gene]]) {
      if (!this.shownEdge[e] || this.source[e] === this.target[e]) continue;
      const ax = this.x[this.source[e]],
        ay = this.y[this.source[e]];
      const dx = this.x[this.target[e]] - ax,
        dy = this.y[this.target[e]] - ay;
      const length = Math.hypot(dx, dy) || 1;
      // The dots and the arrow head stay in sight.
      const [start, end] = [0.55 * this.unit, length - 1.05 * this.unit];
      if (end <= start) continue;
      ctx.strokeStyle = `rgb(${this.palette[signName(this.sign[e])].join(",")})`;
      ctx.beginPath();
      ctx.moveTo(ax + (dx / length) * start, ay + (dy / length) * start);
      ctx.lineTo(ax + (dx / length) * end, ay + (dy / length) * end);
      ctx.stroke();
    }
  }

  drawArrow(ctx, a, b, color, width, scale) {
    const dx = this.x[b] - this.x[a],
      dy = this.y[b] - this.y[a];
    const length = Math.hypot(dx, dy) || 1;
    const gap = this.unit * 0.55;
    const head = Math.min(length / 3, 12 / scale);
    const end = { x: this.x[b] - (dx / length) * gap, y: this.y[b] - (dy / length) * gap };
    ctx.strokeStyle = ctx.fillStyle = color;
    ctx.lineWidth = width / scale;
    ctx.beginPath();
    ctx.moveTo(this.x[a], this.y[a]);
    ctx.lineTo(end.x - (dx / length) * head * 0.8, end.y - (dy / length) * head * 0.8);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(end.x, end.y);
    ctx.lineTo(
      end.x - (dx * head - dy * head * 0.6) / length,
      end.y - (dy * head + dx * head * 0.6) / length,
    );
    ctx.lineTo(
      end.x - (dx * head + dy * head * 0.6) / length,
      end.y - (dy * head - dx * head * 0.6) / length,
    );
    ctx.closePath();
    ctx.fill();
  }

  drawLabels(ctx, scale) {
    const { x: left, y: top } = this.network.canvasToDOM({ x: 0, y: 0 });
    ctx.font = `${LABEL_PX / scale}px ${this.css("--st-font") || "sans-serif"}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    ctx.lineWidth = 3 / scale;
    ctx.lineJoin = "round";
    ctx.strokeStyle = this.background();
    ctx.fillStyle = this.textColor();
    for (const label of this.placeLabels((name) => ctx.measureText(name).width * scale)) {
      ctx.strokeText(label.name, (label.x - left) / scale, (label.y - top) / scale);
      ctx.fillText(label.name, (label.x - left) / scale, (label.y - top) / scale);
    }
  }

  /**
   * Names of as many genes as fit without covering one another, in pixels: the focus and the path first, then
   * by number of edges.
   */
  placeLabels(measure) {
    if (!this.order) this.order = this.labelOrder();
    const { clientWidth, clientHeight } = this.el.canvas;
    const { x: left, y: top } = this.network.canvasToDOM({ x: 0, y: 0 });
    const scale = this.network.getScale();
    const placed = [];
    for (const i of this.order) {
      const name = short(this.names[i], LABEL_LENGTH);
      if (!this.widths.has(name)) this.widths.set(name, measure(name));
      const half = this.widths.get(name) / 2 + 2;
      const px = left + this.x[i] * scale,
        py = top + this.y[i] * scale + (this.unit / 2) * scale + 3;
      if (px < 0 || py < 0 || px > clientWidth || py > clientHeight) continue;
      const x = Math.max(half, Math.min(clientWidth - half, px)); // a long name at the border stays inside
      const rect = [x - half, py, x + half, py + LABEL_PX + 2];
      if (
        placed.some(
          (p) => rect[0] < p.rect[2] && p.rect[0] < rect[2] && rect[1] < p.rect[3] && p.rect[1] < rect[3],
        )
      )
        continue;
      placed.push({ name, x, y: py, rect });
      if (placed.length >= MOST_LABELS) break;
    }
    return placed;
  }

  labelOrder() {
    const { path, edge, focus, goal } = this.view;
    const first = new Set([
      ...path.flat(),
      ...(edge || []),
      ...[focus, goal].filter((gene) => gene !== null),
    ]);
    const rank = (i) => (first.has(i) ? 1e9 : 0) + this.degree[i];
    return this.names
      .map((_, i) => i)
      .filter((i) => this.shownNode[i])
      .sort((a, b) => rank(b) - rank(a));
  }

  // ------------------------------------------------------------------ pictures to keep

  /** What is shown and where it comes from, in one line and in full. */
  captionWords() {
    const view = this.view;
    const around =
      view.mode === "ego" && view.focus !== null
        ? ` · around ${short(this.names[view.focus], 40)}, ${view.hops} hop${view.hops > 1 ? "s" : ""}`
        : "";
    const simulated = this.facts.simulated ? " · simulated data" : "";
    const shown = `${view.measure} > ${this.words(this.threshold)}${around}`;
    return `${this.facts.run} · ${shown} · ${number(this.shownCount)} edges drawn${simulated}`;
  }
  allFacts() {
    const { mode, focus, goal, hops, direction, measure, self_loops } = this.view;
    const name = (gene) => (gene === null ? null : this.names[gene]);
    return {
      ...this.facts,
      view: mode,
      measure,
      threshold: this.threshold,
      focus: name(focus),
      target: name(goal),
      hops,
      direction,
      self_loops,
      edges: this.shownCount,
    };
  }

  svg() {
    const { clientWidth: width, clientHeight: height } = this.el.canvas;
    const scale = this.network.getScale();
    const { x: left, y: top } = this.network.canvasToDOM({ x: 0, y: 0 });
    const at = (i) => [left + this.x[i] * scale, top + this.y[i] * scale];
    const f = (value) => value.toFixed(1);
    const near = (i) => {
      const [x, y] = at(i);
      return x > -width && x < 2 * width && y > -height && y < 2 * height;
    };
    const parts = [];
    for (let e = 0; e < this.weight.length; e++) {
      if (
        !this.shownEdge[e] ||
        this.source[e] === this.target[e] ||
        !near(this.source[e]) ||
        !near(this.target[e])
      )
        continue;
      parts.push(
        this.svgEdge(
          at(this.source[e]),
          at(this.target[e]),
          this.edgeColor(e),
          this.edgeWidth(e) * scale,
          signName(this.sign[e]),
          this.isDashed(e),
          scale,
        ),
      );
    }
    for (const [a, b] of this.view.path)
      parts.push(this.svgEdge(at(a), at(b), this.palette.path, 4, "activation", false, scale));
    if (this.view.edge)
      parts.push(
        this.svgEdge(
          at(this.view.edge[0]),
          at(this.view.edge[1]),
          this.textColor(),
          3,
          "activation",
          false,
          scale,
        ),
      );
    this.names.forEach((_, i) => {
      if (!this.shownNode[i]) return;
      const [x, y] = at(i);
      const r = this.unit * scale * (this.kind[i] === 1 ? 0.5 : 0.45);
      const shape =
        this.kind[i] === 1
          ? `<circle cx="${f(x)}" cy="${f(y)}" r="${f(r)}"`
          : `<path d="M${f(x)} ${f(y - r)}L${f(x + r)} ${f(y)}L${f(x)} ${f(y + r)}L${f(x - r)} ${f(y)}Z"`;
      parts.push(`${shape} fill="${this.nodeColor(i)}"/>`);
      if (i === this.view.focus)
        parts.push(
          `<circle cx="${f(x)}" cy="${f(y)}" r="${f(this.unit * scale * 0.62 + 4)}" fill="none" ` +
            `stroke="${this.textColor()}" stroke-width="2.5"/>`,
        );
    });
    const context = document.createElement("canvas").getContext("2d");
    context.font = `${LABEL_PX}px sans-serif`;
    const text = this.textColor();
    const back = this.background();
    const halo = `stroke="${back}" stroke-width="3" stroke-linejoin="round" paint-order="stroke"`;
    for (const label of this.placeLabels((name) => context.measureText(name).width)) {
      parts.push(
        `<text x="${f(label.x)}" y="${f(label.y + LABEL_PX * 0.85)}" text-anchor="middle" ` +
          `fill="${text}" ${halo}>${escapeText(label.name)}</text>`,
      );
    }
    const words = escapeText(this.captionWords());
    const caption = `<text x="8" y="${height + 16}" font-size="11" fill="${text}">${words}</text>`;
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + 24}" ` +
      `viewBox="0 0 ${width} ${height + 24}" font-family="sans-serif" font-size="${LABEL_PX}">` +
      `<title>${words}</title><metadata>${escapeText(JSON.stringify(this.allFacts()))}</metadata>` +
      `<rect width="100%" height="100%" fill="${back}"/>${parts.join("")}` +
      `<rect y="${height}" width="100%" height="24" fill="${back}"/>${caption}</svg>`
    );
  }

  svgEdge([ax, ay], [bx, by], color, width, kind, dashed, scale) {
    const f = (value) => value.toFixed(1);
    const length = Math.hypot(bx - ax, by - ay) || 1;
    const ux = (bx - ax) / length,
      uy = (by - ay) / length;
    const gap = Math.min(this.unit * scale * 0.52, length / 2);
    const head = Math.min(Math.max(4, this.unit * scale * 0.4, width * 2.5), length / 3);
    const ex = bx - ux * gap,
      ey = by - uy * gap;
    const sx = ex - ux * head,
      sy = ey - uy * head;
    const w = head * 0.45;
    const bar = [`${f(ex - uy * w)} ${f(ey + ux * w)}`, `${f(ex + uy * w)} ${f(ey - ux * w)}`];
    const wings = [`${f(sx - uy * w)} ${f(sy + ux * w)}`, `${f(sx + uy * w)} ${f(sy - ux * w)}`];
    const pen = (thick) => `stroke="${color}" stroke-width="${thick.toFixed(2)}"`;
    const stop = kind === "activation" ? `${f(sx)} ${f(sy)}` : `${f(ex)} ${f(ey)}`;
    const dashes = dashed ? ' stroke-dasharray="5 3"' : "";
    const line = `<path d="M${f(ax)} ${f(ay)}L${stop}" ${pen(width)} fill="none"${dashes}/>`;
    if (kind === "activation")
      return `${line}<path d="M${f(ex)} ${f(ey)}L${wings.join("L")}Z" fill="${color}"/>`;
    if (kind === "repression") return `${line}<path d="M${bar.join("L")}" ${pen(Math.max(1.5, width))}/>`;
    return `${line}<path d="M${wings[0]}L${f(ex)} ${f(ey)}L${wings[1]}" ${pen(width)} fill="none"/>`;
  }

  saveSvg() {
    if (this.network) download(new Blob([this.svg()], { type: "image/svg+xml" }), this.fileName("svg"));
  }

  async savePng() {
    if (!this.network) return;
    const image = new Image();
    const address = URL.createObjectURL(new Blob([this.svg()], { type: "image/svg+xml" }));
    try {
      image.src = address;
      await image.decode();
      const canvas = document.createElement("canvas");
      canvas.width = image.width * 2;
      canvas.height = image.height * 2;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
      const bytes = withText(
        new Uint8Array(await blob.arrayBuffer()),
        "Description",
        JSON.stringify(this.allFacts()),
      );
      download(new Blob([bytes], { type: "image/png" }), this.fileName("png"));
    } catch (error) {
      this.el.status.append(` The PNG could not be made (${error.message}); take the SVG.`);
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  fileName(suffix) {
    const run =
      String(this.facts.run)
        .replace(/[^\w.-]+/g, "_")
        .replace(/^\.+/, "")
        .slice(0, 60) || "network";
    return `${run}_${this.view.measure}${this.words(this.threshold)}.${suffix}`;
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
    const dot = (fill) => `<circle cx="10" cy="7" r="5" fill="${fill}"/>`;
    const diamond = (fill) => `<path d="M10 1 L16 7 L10 13 L4 7 Z" fill="${fill}"/>`;
    const line = (c) => `<path d="M1 7 H18" stroke="${c}" stroke-width="2"/>`;
    const members = this.view.members;
    const plain = members ? p.rest : null;
    const entries = [
      [dot(plain || p.perturbed), "perturbed gene"],
      [diamond(plain || p.extended), "extended gene, never perturbed, or held out"],
      [
        `${line(rgb(p.activation))}<path d="M12 2 L20 7 L12 12 Z" fill="${rgb(p.activation)}"/>`,
        "activates: target falls when the source is knocked down",
      ],
      [
        `${line(rgb(p.repression))}<path d="M18 1 V13" stroke="${rgb(p.repression)}" stroke-width="3"/>`,
        "represses: target rises",
      ],
      [
        line(rgb(p.unknown)) +
          `<path d="M13 2 L19 7 L13 12" stroke="${rgb(p.unknown)}" fill="none" stroke-width="2"/>`,
        "sign not known: no clear effect measured",
      ],
      [
        `<path d="M1 7 H19" stroke="${rgb(p.unknown)}" stroke-width="2" stroke-dasharray="4 3"/>`,
        "dashed, or pale among many: source never perturbed, or held out",
      ],
      [`<path d="M1 7 H19" stroke="${p.path}" stroke-width="4"/>`, "traced path"],
    ];
    if (members) {
      const found = Math.max(-1, ...members) + 1;
      for (const [k, color] of p.communities.slice(0, found).entries())
        entries.push([dot(color), `community ${k + 1}`]);
      if (found > p.communities.length)
        entries.push([dot(p.rest), `communities ${p.communities.length + 1} to ${found}`]);
    }
    this.el.legend.replaceChildren(
      ...entries.map(([drawing, words]) => {
        const entry = document.createElement("span");
        const svg = new DOMParser().parseFromString(
          `<svg xmlns="http://www.w3.org/2000/svg" width="22" height="14" aria-hidden="true">` +
            `${drawing}</svg>`,
          "image/svg+xml",
        );
        entry.append(document.importNode(svg.documentElement, true), document.createTextNode(words));
        return entry;
      }),
    );
  }

  destroy() {
    this.gone = true;
    clearTimeout(this.timer);
    window.removeEventListener(THRESHOLD_EVENT, this.heard);
    if (this.frame) cancelAnimationFrame(this.frame);
    if (this.network) this.network.destroy();
  }
}

/** Text for SVG: markup characters written out, characters that XML forbids replaced. */
function escapeText(text) {
  const clean = String(text).replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd");
  return clean.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A PNG with one more text (iTXt chunk, UTF-8) right behind its header. */
function withText(png, keyword, text) {
  const encoder = new TextEncoder();
  const body = new Uint8Array([
    ...encoder.encode("iTXt"),
    ...encoder.encode(keyword),
    0,
    0,
    0,
    0,
    0,
    ...encoder.encode(text),
  ]);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, checksum(body));
  const header = 8 + 25; // signature and IHDR
  const result = new Uint8Array(png.length + chunk.length);
  result.set(png.subarray(0, header));
  result.set(chunk, header);
  result.set(png.subarray(header), header + chunk.length);
  return result;
}

/** CRC-32 as PNG wants it. */
function checksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
