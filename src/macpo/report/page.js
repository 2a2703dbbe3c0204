"use strict";
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const charts = [...document.querySelectorAll(".chart")];
  const hidden = new Set();
  const palette = Number(root.dataset.palette);
  const dashes = ["solid", "dash", "dot", "dashdot"];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;

  // --- looks -------------------------------------------------------------------------------------

  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const colour = (method) => css("--c" + (method % palette));
  const dash = (method) => dashes[Math.floor(method / palette) % dashes.length];
  const label = (method) => report.methods[method].label.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const see_through = (hex, alpha) =>
    hex + Math.round(255 * alpha).toString(16).padStart(2, "0");
  const line = (method, width) => ({ color: colour(method), dash: dash(method), width });

  function layout(div, x, y, more) {
    const axis = {
      gridcolor: css("--grid"), linecolor: css("--faint"), zeroline: false, automargin: true,
      tickfont: { color: css("--faint") },
    };
    return {
      autosize: true, height: Number(div.dataset.height), showlegend: false, hovermode: "closest",
      margin: { l: 50, r: 15, t: 10, b: 45 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      font: { color: css("--ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
      modebar: { bgcolor: "transparent", color: css("--faint"), activecolor: css("--link") },
      hoverlabel: { bgcolor: css("--paper"), font: { color: css("--ink") } },
      xaxis: { ...axis, ...x }, yaxis: { ...axis, ...y }, ...more,
    };
  }

  // --- what is drawn -----------------------------------------------------------------------------

  const unit = (task) => "offline" in task.settings ? "updates" : "env steps";
  const over = (task) => ({ title: { text: unit(task) }, rangemode: "tozero", tickformat: "~s" });

  function curve(task, method, x, y, width, name, opacity) {
    const value = `<br>%{x:,.0f} ${unit(task)}: %{y:.4~g}<extra></extra>`;
    return {
      meta: { method }, type: "scatter", mode: y.length > 1 ? "lines" : "markers", x, y, opacity,
      line: line(method, width), marker: { color: colour(method), size: 7 },
      hovertemplate: label(method) + name + value,
    };
  }

  function area(method, band) {
    const edge = { meta: { method }, type: "scatter", mode: "lines", x: band.env_steps, hoverinfo: "skip",
      line: { width: 0 } };
    return [
      { ...edge, y: band.high },
      { ...edge, y: band.low, fill: "tonexty", fillcolor: see_through(colour(method), 0.18) },
    ];
  }

  const draw = {
    curves(task, div) {
      const traces = task.scores.flatMap((scores) => [
        ...(scores.band.low ? area(scores.method, scores.band) : []),
        ...scores.seeds.map((seed) => curve(task, scores.method, seed.curve.env_steps, seed.curve.values, 1,
          ", seed " + seed.seed, scores.band.low ? 0.3 : 0.6)),
        ...(scores.seeds.length > 1
          ? [curve(task, scores.method, scores.band.env_steps, scores.band.middle, 3, ", IQM", 1)] : []),
      ]);
      return [traces, layout(div, over(task), { title: { text: task.axis }, range: task.range })];
    },
    scores(task, div) {
      const traces = task.scores.flatMap((scores) => {
        const name = label(scores.method), { value, low, high } = scores.final;
        const common = { meta: { method: scores.method }, type: "scatter", mode: "markers" };
        return [
          { ...common, x: scores.seeds.map((seed) => seed.final), y: scores.seeds.map(() => scores.method),
            text: scores.seeds.map((seed) => "seed " + seed.seed),
            marker: { color: see_through(colour(scores.method), 0.55), size: 9 },
            hovertemplate: name + ", %{text}: %{x:.4~g}<extra></extra>" },
          { ...common, x: [value], y: [scores.method],
            marker: { color: colour(scores.method), symbol: "line-ns-open", size: 22, line: { width: 3 } },
            error_x: { type: "data", symmetric: false, array: [high - value], arrayminus: [value - low],
              visible: low !== null, color: colour(scores.method), thickness: 2, width: 0 },
            hovertemplate: name + ", IQM: %{x:.4~g}<extra></extra>" },
        ];
      });
      return [traces, layout(div, { title: { text: "final score" } }, {
        type: "category", autorange: "reversed", tickvals: task.scores.map((scores) => scores.method),
        ticktext: task.scores.map((scores) => label(scores.method).replace(", ", ",<br>")),
      })];
    },
    profile(task, div) {
      const traces = task.scores.map((scores) => ({
        meta: { method: scores.method }, type: "scatter", mode: "lines", x: task.thresholds,
        y: scores.profile, line: { ...line(scores.method, 2.5), shape: "hv" },
        hovertemplate: label(scores.method) + "<br>%{y:.0%} of seeds above %{x:.4~g}<extra></extra>",
      }));
      return [traces, layout(div, { title: { text: "final score τ" } },
        { title: { text: "share of seeds above τ" }, tickformat: ".0%", range: [-0.03, 1.03] })];
    },
    diagnostic(task, div) {
      const lines = task.diagnostics.find((each) => each.metric === div.dataset.metric).methods;
      const traces = lines.flatMap(({ method, env_steps, seeds, band }) => band
        ? [...area(method, band), curve(task, method, env_steps, band.middle, 2, ", IQM", 1)]
        : seeds.map(({ seed, values }) => curve(task, method, env_steps, values, 1.4, ", seed " + seed, 0.8)));
      return [traces, layout(div, over(task), { title: "" }, { margin: { l: 45, r: 10, t: 5, b: 40 } })];
    },
  };

  // --- when --------------------------------------------------------------------------------------

  const options = (div) => ({
    displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"],
    displayModeBar: !div.closest(".grid"),
  });

  function plot(div) {
    const [traces, look] = draw[div.dataset.kind](report.tasks[div.dataset.task], div);
    for (const trace of traces) trace.visible = !hidden.has(trace.meta.method);
    if (printing) look.width = div.closest(".grid") ? 330 : 680;
    Plotly.react(div, traces, look, options(div));
    div.dataset.drawn = "yes";
  }

  const redraw = () => charts.filter((div) => div.dataset.drawn).forEach(plot);
  window.macpo = { report, draw, plot, css, layout };  // for microscope.js

  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (isIntersecting) { near.unobserve(target); plot(target); }
    }
  }, { rootMargin: "800px" });
  charts.forEach((div) => near.observe(div));

  const boxes = [...document.querySelectorAll(".legend input")];
  function toggle(box, shown) {
    box.checked = shown;
    hidden[shown ? "delete" : "add"](Number(box.dataset.method));
  }
  for (const box of boxes) {
    box.addEventListener("change", () => { toggle(box, box.checked); redraw(); });
  }
  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      boxes.forEach((box) => toggle(box, button.dataset.shown === "all"));
      redraw();
    });
  }
  dark.addEventListener("change", redraw);

  let closed = [];
  addEventListener("beforeprint", () => {
    printing = true;
    closed = [...document.querySelectorAll("details.for-print:not([open])")];
    root.classList.add("printing");
    closed.forEach((each) => { each.open = true; });
    charts.forEach(plot);
  });
  addEventListener("afterprint", () => {
    printing = false;
    root.classList.remove("printing");
    closed.forEach((each) => { each.open = false; });
    charts.forEach(plot);
  });
})();
