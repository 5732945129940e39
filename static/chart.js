/* Draws the plots of a figure[data-chart] with uPlot, and again when its data, its width or the theme changes. Each
   [data-plot] names its series in the data, and beside that their labels, their colours, a format (count, money or
   duration) and whether they are lines instead of bars. The table below every chart has the same figures. */
"use strict";
(() => {
  const drawn = new WeakMap();
  const count = new Intl.NumberFormat("en");
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
  const wholeMoney = new Intl.NumberFormat("en", { style: "currency", currency: "USD", notation: "compact", maximumFractionDigits: 2, minimumFractionDigits: 0 });

  const duration = (ms) => ms < 1000 ? `${ms} ms` : ms < 120000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min`;
  const formats = { count: (value) => count.format(value), money: (value) => money.format(value), duration };
  const axis = {
    count: (value) => Number.isInteger(value) ? compact.format(value) : "",
    money: (value, at) => (at.at(-1) < 10 ? money : wholeMoney).format(value),
    duration: (value) => value === 0 ? "0" : value < 1000 ? `${value} ms` : value < 120000 ? `${value / 1000} s` : `${Math.round(value / 6000) / 10} min`,
  };
  const written = (holder) => formats[holder.dataset.format];
  const words = (holder, name, by) => holder.dataset[name].split(by);
  const names = (holder) => words(holder, "plot", " ");

  function colour(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }

  function draw(figure) {
    const state = drawn.get(figure);
    const data = JSON.parse(figure.dataset.chart);
    state?.plots.forEach((plot) => plot.destroy());
    const legend = figure.querySelector("[data-legend]");
    const last = data.days.length - 1;
    const holders = [...figure.querySelectorAll("[data-plot]")];
    const say = (index) => {
      const i = index ?? last;
      legend.replaceChildren(
        part(`${data.days[i]}${i === last ? ", so far" : ""}`),
        ...holders.flatMap((holder) => names(holder).map((name, n) => {
          const value = data[name][i];
          return part(value === null ? "No data" : written(holder)(value), words(holder, "labels", "|")[n]);
        })),
      );
    };
    const ink = colour("--quiet");
    const line = colour("--line");
    const plots = holders.map((holder, position) => {
      const { format, style } = holder.dataset;
      const colours = words(holder, "colours", " ").map((name) => `--${name}`);
      const bars = (full, partial) => uPlot.paths.bars({
        size: [0.72, 28], radius: 0.18,
        disp: { fill: { unit: 3, values: () => data.days.map((_, i) => i === last ? partial : full) } },
      });
      const series = names(holder).map((_, n) => {
        const full = colour(colours[n]);
        if (style === "lines") return { stroke: full, width: 2, spanGaps: false, points: { show: true, size: 4, fill: full, stroke: full } };
        return { fill: full, width: 0, points: { show: false }, paths: bars(full, n ? full : colour(`${colours[n]}-soft`)) };
      });
      const bottom = position === holders.length - 1;
      return new uPlot({
        width: holder.clientWidth,
        height: holder.clientHeight,
        legend: { show: false },
        padding: [8, 20, bottom ? 0 : 4, 0],
        cursor: { sync: { key: "days" }, y: false, points: { show: false }, drag: { setScale: false, x: false, y: false } },
        scales: {
          x: { time: false, range: [-0.6, last + 0.6] },
          y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] },
        },
        series: [{}, ...series],
        axes: [
          { stroke: ink, grid: { show: false }, ticks: { show: false }, size: bottom ? 26 : 4, font: "11.5px system-ui",
            splits: () => pick(data.days.length, holder.clientWidth), values: (_, at) => at.map((i) => bottom ? data.days[i] : "") },
          { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 52, space: 30, font: "11.5px system-ui",
            values: (_, at) => at.map((v) => axis[format](v, at)) },
        ],
        hooks: { setCursor: [(plot) => say(plot.cursor.left >= 0 ? plot.cursor.idx : null)] },
      }, [data.days.map((_, i) => i), ...names(holder).map((name) => data[name])], holder);
    });
    drawn.set(figure, { plots, source: figure.dataset.chart, width: figure.clientWidth });
    say(null);
  }

  function part(strong, text = "") {
    const item = document.createElement("span");
    const bold = document.createElement("b");
    bold.textContent = strong;
    item.append(bold, text ? ` ${text}` : "");
    return item;
  }
  // Labels that do not touch: as many as fit, always with the last day.
  function pick(days, width) {
    const step = Math.max(1, Math.ceil(days / Math.max(2, Math.floor(width / 84))));
    const at = [];
    for (let i = days - 1; i >= 0; i -= step) at.unshift(i);
    return at;
  }

  function all(force) {
    document.querySelectorAll("figure[data-chart]").forEach((figure) => {
      const state = drawn.get(figure);
      if (!force && state && state.source === figure.dataset.chart && state.width === figure.clientWidth) return;
      draw(figure);
    });
  }

  let waiting = 0;
  const watch = new ResizeObserver(() => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => all(false));
  });
  document.querySelectorAll("figure[data-chart]").forEach((figure) => watch.observe(figure));
  document.addEventListener("makegood:theme", () => requestAnimationFrame(() => all(true)));
  document.addEventListener("htmx:after:swap", () => {
    document.querySelectorAll("figure[data-chart]").forEach((figure) => watch.observe(figure));
    all(false);
  });
  all(true);
})();
