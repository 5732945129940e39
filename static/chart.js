/* Draws every figure[data-chart] with uPlot, and again when its data, its width or the theme changes. The data is what
   blueprints/admin/charts.py says; the table below each chart has the same figures. Charts of one page point at the
   same step and zoom together. Keys on a chart: arrows read it, + and − zoom, Escape shows all, Enter opens the rows. */
"use strict";
(() => {
  const states = new Map();
  const zooms = { from: null, to: null };
  const count = new Intl.NumberFormat("en");
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
  const wholeMoney = new Intl.NumberFormat("en", { style: "currency", currency: "USD", notation: "compact", maximumFractionDigits: 2, minimumFractionDigits: 0 });
  const minus = (text) => text.replace("-", "−");
  const written = {
    count: (value) => minus(count.format(value)),
    usd: (value) => value > 0 && value < 0.005 ? "<$0.01" : minus(money.format(value)),
    rate: (value) => `${value.toFixed(1)}%`,
    duration: (ms) => ms < 1000 ? `${ms} ms` : ms < 120000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min`,
  };
  const onAxis = {
    count: (value) => Number.isInteger(value) ? minus(compact.format(value)) : "",
    usd: (value, at) => minus((Math.abs(at.at(-1)) < 10 ? money : wholeMoney).format(value)),
    rate: (value) => `${value}%`,
    duration: (value) => value === 0 ? "0" : value < 1000 ? `${value} ms` : value < 120000 ? `${value / 1000} s` : `${Math.round(value / 6000) / 10} min`,
  };
  // Amounts of a currency: exact, and short for the axis.
  const currencies = new Map();
  function inCurrency({ currency, decimals }) {
    if (!currencies.has(currency)) {
      const style = { style: "currency", currency };
      currencies.set(currency, {
        exact: new Intl.NumberFormat("en", { ...style, minimumFractionDigits: decimals, maximumFractionDigits: decimals }),
        short: new Intl.NumberFormat("en", { ...style, notation: "compact", maximumFractionDigits: 2, minimumFractionDigits: 0 }),
      });
    }
    return currencies.get(currency);
  }
  const write = (data, value) => data.currency ? minus(inCurrency(data).exact.format(value)) : written[data.unit](value);
  function tick(data, value, at) {
    if (!data.currency) return onAxis[data.unit](value, at);
    const { exact, short } = inCurrency(data);
    return minus((Math.max(Math.abs(at[0]), Math.abs(at.at(-1))) < 10 ? exact : short).format(value));
  }
  const font = "12px system-ui";
  const whole = Array.from({ length: 36 }, (_, n) => [1, 2, 5][n % 3] * 10 ** Math.floor(n / 3));

  function colour(name) {
    const probe = document.createElement("i");
    probe.className = "chart-probe";
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }
  // What is not over yet is hatched: it will still grow.
  function hatched(fill) {
    const tile = document.createElement("canvas");
    const size = tile.width = tile.height = Math.round(6 * devicePixelRatio);
    const pen = tile.getContext("2d");
    pen.fillStyle = colour("surface");
    pen.fillRect(0, 0, size, size);
    pen.strokeStyle = fill;
    pen.lineWidth = size / 2.6;
    for (const x of [-size, 0, size]) {
      pen.beginPath();
      pen.moveTo(x - 1, size + 1);
      pen.lineTo(x + size + 1, -1);
      pen.stroke();
    }
    return pen.createPattern(tile, "repeat");
  }
  function make(name, text = "", className = "") {
    const node = document.createElement(name);
    node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  // Bars stand on each other, above zero and below it; the tallest is drawn first.
  function stack(data, hidden) {
    const above = data.labels.map(() => 0);
    const below = data.labels.map(() => 0);
    return data.series.map((series, n) => {
      if (series.line || !data.stacked || hidden.has(series.label)) return series.values;
      return series.values.map((value, i) => {
        if (value === null) return null;
        const sums = value < 0 ? below : above;
        return sums[i] += value;
      });
    });
  }

  function draw(figure) {
    const old = states.get(figure);
    const data = JSON.parse(figure.dataset.chart);
    const holder = figure.querySelector("[data-plot]");
    const hidden = old?.hidden ?? new Set();
    const at = old?.pinned ?? null;
    old?.plot.destroy();
    const state = { data, hidden, holder, figure, pinned: at !== null && at < data.labels.length ? at : null, source: figure.dataset.chart, size: size(holder) };
    states.set(figure, state);
    const ink = colour("quiet");
    const line = colour("line");
    const last = data.labels.length - 1;
    const values = stack(data, hidden);
    const bars = [...data.series.keys()].filter((n) => !data.series[n].line).reverse();
    const order = [...bars, ...[...data.series.keys()].filter((n) => data.series[n].line)];
    const series = order.map((n) => {
      const full = colour(data.series[n].colour);
      const show = !hidden.has(data.series[n].label);
      if (data.series[n].line) {
        const sparse = data.labels.length <= 62;
        // A step between two without a value has no line to it: where points are left out, this one is not.
        const alone = (plot, n, shown) => shown ? null : plot.data[n].flatMap((value, i, all) => value !== null && (all[i - 1] ?? null) === null && (all[i + 1] ?? null) === null ? [i] : []);
        return { show, stroke: full, width: 2, spanGaps: false, dash: n % 2 ? [6, 4] : undefined, points: { show: sparse, filter: alone, size: 5, fill: full, stroke: full } };
      }
      const partial = data.partial === null ? full : hatched(full);
      return {
        show, fill: full, width: 0, points: { show: false },
        paths: uPlot.paths.bars({ size: [0.74, 30], radius: data.stacked && bars.length > 1 ? 0 : 0.15, disp: { fill: { unit: 3, values: () => data.labels.map((_, i) => i === data.partial ? partial : full) } } }),
      };
    });
    state.plot = new uPlot({
      width: holder.clientWidth,
      height: holder.clientHeight,
      legend: { show: false },
      padding: [8, 24, 0, 0],
      cursor: {
        sync: { key: `steps-${data.labels.length}`, setSeries: false }, y: false, points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 8 },
      },
      scales: {
        x: { time: false, range: () => [(zooms.from ?? 0) - 0.6, Math.min(zooms.to ?? last, last) + 0.6] },
        y: { range: (_, least, most) => range(data, least, most) },
      },
      series: [{}, ...series],
      axes: [
        { stroke: ink, grid: { show: false }, ticks: { show: false }, size: 26, font,
          splits: (plot) => pick(Math.max(0, Math.ceil(plot.scales.x.min)), Math.min(last, Math.floor(plot.scales.x.max)), holder.clientWidth), values: (_, at) => at.map((i) => data.labels[i]) },
        { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 56, space: 28, font, incrs: data.unit === "count" ? whole : undefined, values: (_, at) => at.map((v) => tick(data, v, at)) },
      ],
      hooks: {
        draw: [(plot) => drawTarget(plot, data, ink)],
        setCursor: [(plot) => say(state, plot.cursor.left >= 0 ? plot.cursor.idx : null)],
        setSelect: [(plot) => {
          const [from, to] = [plot.select.left, plot.select.left + plot.select.width].map((x) => Math.round(plot.posToVal(x, "x")));
          if (plot.select.width > 8 && to > from) zoom(Math.max(0, from), Math.min(last, to));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    }, [data.labels.map((_, i) => i), ...order.map((n) => values[n])], holder);
    legend(state);
    plotKeys(state);
  }
  const size = (holder) => `${holder.clientWidth} ${holder.clientHeight}`;
  function range(data, least, most) {
    if (data.unit === "rate") return [Math.max(0, Math.min(90, Math.floor((least ?? 100) / 10) * 10)), 100];
    return [least < 0 ? least * 1.08 : 0, most > 0 ? most * 1.08 : 1];
  }
  function drawTarget(plot, data, ink) {
    if (data.target === null) return;
    const y = plot.valToPos(data.target, "y", true);
    const pen = plot.ctx;
    pen.save();
    pen.strokeStyle = ink;
    pen.setLineDash([4, 4].map((part) => part * devicePixelRatio));
    pen.lineWidth = devicePixelRatio;
    pen.beginPath();
    pen.moveTo(plot.bbox.left, y);
    pen.lineTo(plot.bbox.left + plot.bbox.width, y);
    pen.stroke();
    pen.restore();
  }
  // Labels that do not touch: as many as fit, always with the last step.
  function pick(from, to, width) {
    const step = Math.max(1, Math.ceil((to - from + 1) / Math.max(2, Math.floor(width / 84))));
    const at = [];
    for (let i = to; i >= from; i -= step) at.unshift(i);
    return at;
  }

  // The legend: what is pointed at, and for each series its figure and whether it is shown.
  function legend(state) {
    const { data, hidden, figure } = state;
    const box = figure.querySelector("[data-legend]");
    state.label = make("span", "", "chart-at");
    state.rows = make("a", "Open the rows", "chart-rows");
    state.reset = make("button", "Show all", "btn btn-plain btn-small chart-reset");
    state.reset.type = "button";
    state.reset.addEventListener("click", () => zoom(null, null));
    const wide = Math.max(...data.series.flatMap((series) => [...series.values, series.total].map((value) => value === null ? 2 : typeof value === "string" ? value.length : write(data, value).length)));
    state.figures = data.series.map((series) => {
      const item = make("button", "", "chart-series");
      item.type = "button";
      item.setAttribute("aria-pressed", String(!hidden.has(series.label)));
      const swatch = make("i", "", series.line ? "swatch swatch-line" : "swatch");
      swatch.style.color = `var(--${series.colour})`;
      const figureOf = make("b");
      figureOf.style.minWidth = `${wide}ch`;
      item.append(swatch, make("span", series.label), figureOf);
      item.addEventListener("click", () => {
        if (!hidden.delete(series.label)) hidden.add(series.label);
        draw(figure);
        figure.querySelectorAll(".chart-series")[data.series.indexOf(series)].focus();
      });
      return { item, figureOf };
    });
    const head = make("div", "", "chart-read");
    head.append(state.label, state.rows, state.reset);
    const list = make("div", "", "chart-list");
    list.append(...state.figures.map((entry) => entry.item));
    box.replaceChildren(head, list);
    say(state, null);
  }
  function say(state, index) {
    const { data } = state;
    const i = index ?? state.pinned;
    state.label.textContent = i === null ? zooms.from === null ? "All of the range" : `${data.said[zooms.from]} – ${data.said[Math.min(zooms.to, data.said.length - 1)]}` : `${data.said[i]}${i === data.partial ? ", so far" : ""}`;
    state.rows.hidden = i === null || index !== null && state.pinned === null || !data.link;
    if (!state.rows.hidden) state.rows.href = address(state, i);
    state.reset.hidden = zooms.from === null;
    data.series.forEach((series, n) => {
      const text = i === null ? series.total ?? "" : series.values[i] === null ? data.unit === "rate" ? "n/a" : "–" : write(data, series.values[i]);
      state.figures[n].figureOf.textContent = i === null && zooms.from !== null ? "" : text;
    });
  }
  const address = ({ data }, i) => `${data.link}${data.link.includes("?") ? "&" : "?"}${data.spans[i]}`;

  function zoom(from, to) {
    Object.assign(zooms, { from, to });
    for (const [figure, state] of states) {
      if (!figure.isConnected) continue;
      state.plot.setData(state.plot.data, true);
      say(state, null);
    }
    window.makegood?.announce(from === null ? "All of the range is shown" : "Zoomed in. Escape shows all of the range");
  }

  function plotKeys(state) {
    const { holder, data, plot } = state;
    holder.tabIndex = 0;
    holder.setAttribute("role", "application");
    holder.setAttribute("aria-roledescription", "chart");
    holder.setAttribute("aria-label", `${document.getElementById(state.figure.getAttribute("aria-labelledby"))?.textContent ?? ""}. Arrow keys read the values, plus and minus zoom, Escape shows all${data.link ? ", Enter opens the rows" : ""}.`);
    plot.over.addEventListener("pointerdown", (event) => state.touch = event.pointerType === "touch");
    plot.over.addEventListener("click", (event) => {
      const i = plot.cursor.idx;
      if (i === null || i === undefined || data.series.every((series) => series.values[i] === null)) return;
      if (state.touch || !data.link) {
        state.pinned = i;
        say(state, i);
      } else if (event.ctrlKey || event.metaKey) window.open(address(state, i), "_blank", "noopener");
      else location.assign(address(state, i));
    });
    holder.onkeydown = (event) => keyed(state, event);
    holder.onblur = () => {
      state.pinned = null;
      say(state, null);
    };
  }
  function keyed(state, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { data, plot } = state;
    const [from, to] = [zooms.from ?? 0, Math.min(zooms.to ?? Infinity, data.labels.length - 1)];
    const at = state.pinned ?? (data.partial ?? to);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step || event.key === "Home" || event.key === "End") {
      const next = step ? at + (state.pinned === null ? 0 : step) : event.key === "Home" ? from : to;
      state.pinned = Math.max(from, Math.min(to, next));
      plot.setCursor({ left: plot.valToPos(state.pinned, "x"), top: 1 });
      say(state, state.pinned);
      window.makegood?.announce(`${state.label.textContent}: ${data.series.map((series, n) => `${series.label} ${state.figures[n].figureOf.textContent}`).join(", ")}`);
    } else if (event.key === "+" || event.key === "=") {
      const reach = Math.max(1, Math.floor((to - from) / 4));
      if (to - from > 2) zoom(Math.max(from, at - reach), Math.min(to, at + reach));
    } else if (event.key === "-" || event.key === "Escape") {
      if (zooms.from === null) return;
      zoom(null, null);
    } else if (event.key === "Enter" && state.pinned !== null && data.link) location.assign(address(state, state.pinned));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function all(force) {
    for (const figure of states.keys()) if (!figure.isConnected) states.delete(figure);
    document.querySelectorAll("figure[data-chart]").forEach((figure) => {
      watch.observe(figure);
      const state = states.get(figure);
      if (!force && state && state.source === figure.dataset.chart && state.size === size(state.holder)) return;
      if (state && state.data.labels.length !== JSON.parse(figure.dataset.chart).labels.length) Object.assign(zooms, { from: null, to: null });
      draw(figure);
    });
  }

  let waiting = 0;
  const watch = new ResizeObserver(() => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => all(false));
  });
  const redraw = () => requestAnimationFrame(() => all(true));
  document.addEventListener("makegood:theme", redraw);
  matchMedia("(forced-colors: active)").addEventListener("change", redraw);
  document.addEventListener("htmx:after:swap", () => all(false));
  all(true);
})();
