(() => {
  const { report, draw, plot, css, layout } = window.macpo;
  const key = (...numbers) => numbers.join(" ");
  const pictures = new Map(JSON.parse(document.getElementById("pictures").textContent)
    .map(({ recording, moment, place, png }) => [key(recording, moment, place), png]));
  const zero = -1e4;  // stands for the log of 0
  const listed_each = 4;

  // --- numbers in words --------------------------------------------------------------------------

  const superscript = (text) => [...text].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)] ?? "").join("");
  const minus = (text) => text.replace("-", "−");
  const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

  function number(x) {
    if (x === null) return "–";
    const size = Math.abs(x);
    if (x === 0 || Number.isInteger(x) && size < 1e6) return minus(x.toLocaleString("en"));
    if (size >= 1e-3 && size < 1e5) return minus(x.toPrecision(3));
    const [digits, power] = x.toExponential(2).split("e");
    return minus(digits) + "·10" + superscript(power);
  }

  function factor(log) {
    if (log === null) return "NaN";
    if (log <= zero) return "0";
    const value = Math.exp(log);
    return value >= 1e-3 && value < 1e4 ? minus(value.toPrecision(3)) : `e<sup>${minus(log.toFixed(1))}</sup>`;
  }

  function why(moment, i) {
    const raw = moment.steps.log_raw[i];
    const parts = moment.log_factors.map((logs) => factor(logs[i]));
    if (!parts.length) return raw === null ? "the weighting does not tell" : factor(raw);
    return parts.join(" · ") + (parts.length > 1 ? " = " + factor(raw) : "");
  }

  function name(replay, steps, i) {
    const part = replay.part ? `, ${replay.part} ${steps.part[i]}` : "";
    return `episode ${steps.episode[i]}, step ${steps.step[i]}${part}`;
  }

  // --- one recording -----------------------------------------------------------------------------

  function colours(moment) {
    const steps = moment.steps;
    return [
      ...moment.factors.map((name, k) => ["ln " + name, moment.log_factors[k].map((x) => x && Math.max(x, -30))]),
      ["reward", steps.reward], ["Q_tot", steps.q], ["target", steps.target], ["Q*", steps.q_star],
      ["step", steps.step], ["episode", steps.episode], ["importance", steps.importance],
    ].filter(([, values]) => values.some((x) => x !== null));
  }

  function microscope(div) {
    const place = Number(div.dataset.replay), replay = report.replays[place];
    const scrubber = div.querySelector("input"), select = div.querySelector("select");
    const points = div.querySelector(".chart"), lists = div.querySelector(".lists");
    let moment = null, chosen = 0;

    const redraw = () => points.dataset.drawn && plot(points);

    function by(value, descending) {
      const sign = descending ? -1 : 1;
      const of = (i) => value(i) ?? Infinity;
      return [...moment.listed].sort((a, b) => sign * (of(a) - of(b)) || a - b).slice(0, listed_each);
    }

    function table(title, places) {
      const steps = moment.steps;
      const rows = places.map((i) => `<tr data-place="${i}"><th scope="row"><button type="button">` +
        `${name(replay, steps, i)}</button></th><td>${why(moment, i)}</td>` +
        [steps.weight[i], steps.td_error_abs[i], steps.q[i], steps.target[i], steps.q_star[i], steps.reward[i]]
          .map((x) => `<td class="number">${number(x)}</td>`).join("") + "</tr>");
      const product = moment.factors.length ? moment.factors.map(escape).join(" · ") : "raw weight";
      return `<div class="table"><table><caption>${title}</caption><thead><tr><th scope="col">step</th>` +
        `<th scope="col">why: ${product}</th>` +
        ["weight", "|δ|", "Q_tot", "target", "Q*", "reward"].map((x) => `<th class="number" scope="col">${x}</th>`).join("") +
        `</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
    }

    function found() {
      const steps = moment.steps, i = chosen;
      const png = pictures.get(key(place, replay.moments.indexOf(moment), i));
      const what = name(replay, steps, i);
      const rows = [
        ...moment.factors.map((each, k) => [escape(each), factor(moment.log_factors[k][i])]),
        ["raw weight", why(moment, i)],
        ["weight", number(steps.weight[i]) + (steps.importance[i] === 1 ? "" :
          `, with importance ${number(steps.importance[i])}`)],
        ["|δ|", `${number(steps.td_error_abs[i])} = |Q_tot ${number(steps.q[i])} − target ${number(steps.target[i])}|`],
        ...(steps.q_star[i] === null ? [] : [["Q*", number(steps.q_star[i])]]),
        ["reward", number(steps.reward[i])],
      ];
      div.querySelector(".found").innerHTML = (png ? `<img src="${png}" alt="${what}, as it was">` : "") +
        `<figcaption>${what}${png ? "" : " (pictures are kept of listed steps only)"}</figcaption><dl>` +
        rows.map(([term, text]) => `<dt>${term}</dt><dd>${text}</dd>`).join("") + "</dl>";
      for (const row of lists.querySelectorAll("tbody tr")) {
        const is_chosen = Number(row.dataset.place) === i;
        row.classList.toggle("chosen", is_chosen);
        row.querySelector("button").setAttribute("aria-pressed", is_chosen);
      }
    }

    function choose(i) {
      chosen = i;
      found();
      redraw();
    }

    function look() {
      moment = replay.moments[scrubber.value];
      const steps = moment.steps, n = steps.step.length;
      const kept = n < moment.n_steps ? `${n} of ${number(moment.n_steps)} steps` : `${n} steps`;
      const played = moment.env_steps ? `${number(moment.env_steps)} env steps, ` : "";  // offline none
      const told = `${played}${number(moment.updates)} updates`;
      div.querySelector("output").textContent = `${told}: ${kept} of ${moment.n_episodes} episodes`;
      scrubber.setAttribute("aria-valuetext", told);
      const errors = by((i) => steps.td_error_abs[i], true);
      chosen = errors[0];
      lists.innerHTML = table("largest error", errors) + table("most weight", by((i) => steps.weight[i], true)) +
        table("least weight", by((i) => steps.weight[i], false));
      const names = colours(moment).map(([each]) => each), before = select.value;
      select.replaceChildren(...names.map((each) => new Option(each)));
      select.value = names.includes(before) ? before : names[strongest()];
      choose(chosen);
    }

    // the factor that lowers the weight of the largest error most
    function strongest() {
      const logs = moment.log_factors.map((each) => each[chosen] ?? 0);
      return logs.length ? logs.indexOf(Math.min(...logs)) : 0;
    }

    scope.set(points, () => ({ replay, moment, chosen, colour: select.value, choose }));
    scrubber.addEventListener("input", look);
    select.addEventListener("change", redraw);
    lists.addEventListener("click", ({ target }) => {
      const row = target.closest("tbody tr");
      if (row) choose(Number(row.dataset.place));
    });
    lists.addEventListener("keydown", (event) => {
      const buttons = [...lists.querySelectorAll("button")], at = buttons.indexOf(event.target);
      const next = buttons[at + { ArrowDown: 1, ArrowUp: -1 }[event.key]];
      if (at < 0 || !next) return;
      event.preventDefault();
      next.focus();
      next.click();
    });
    look();
  }

  // --- the scatter -------------------------------------------------------------------------------

  const scope = new Map();

  // zeros stand at the lower end of a logarithmic axis
  function on_log_axis(values) {
    const positive = values.filter((x) => x > 0), most = Math.max(...positive);
    const least = positive.length ? Math.max(Math.min(...positive), most * 1e-9) : 1;
    return values.map((x) => x === null ? null : Math.max(x, least));
  }

  draw.replay = (task, div) => {
    const { replay, moment, chosen, colour, choose } = scope.get(div)();
    const steps = moment.steps, all = steps.step.map((_, i) => i), listed = new Set(moment.listed);
    const x = on_log_axis(steps.td_error_abs), y = on_log_axis(steps.weight);
    const [title, values] = colours(moment).find(([each]) => each === colour);
    const common = { type: "scatter", mode: "markers", meta: { method: replay.method } };
    const traces = [
      { ...common, x, y, customdata: all,
        text: all.map((i) => `${name(replay, steps, i)}<br>${why(moment, i)}<br>weight ${number(steps.weight[i])}, ` +
          `|δ| ${number(steps.td_error_abs[i])}<br>${escape(title)} ${number(values[i])}`),
        hovertemplate: "%{text}<extra></extra>",
        marker: { color: values, colorscale: "Viridis", size: all.map((i) => listed.has(i) ? 11 : 7), opacity: 0.85,
          symbol: all.map((i) => listed.has(i) ? "diamond" : "circle"), line: { width: 0.5, color: css("--paper") },
          colorbar: { title: { text: escape(title), side: "right" }, thickness: 12, outlinewidth: 0 } } },
      { ...common, x: [x[chosen]], y: [y[chosen]], hoverinfo: "skip",
        marker: { symbol: "circle-open", size: 20, color: "#d7263d", line: { width: 3 } } },
    ];
    queueMicrotask(() => {
      if (div.dataset.listens) return;
      div.dataset.listens = "yes";
      div.on("plotly_click", ({ points: [point] }) => {
        if (point.curveNumber === 0) scope.get(div)().choose(point.customdata);
      });
    });
    const axis = { type: "log", tickformat: "~g", dtick: 1 };
    return [traces, layout(div, { ...axis, title: { text: "size of the TD error |δ|" } },
      { ...axis, title: { text: "weight" } })];
  };

  document.querySelectorAll(".scope").forEach(microscope);
})();
