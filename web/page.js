// Draws the charts and maps of a workbook page from the JSON inside it. It fetches nothing, and text
// reaches the page through textContent alone, so that a name in the data stays a name.
"use strict";
(function () {
  const root = document.documentElement;
  const fail = (error) => {
    const words = String((error && error.message) || error);
    root.dataset.errors = root.dataset.errors ? root.dataset.errors + "\n" + words : words;
  };
  window.addEventListener("error", (event) => fail(event.error || event.message));

  const page = JSON.parse(document.getElementById("data").textContent);
  const words = page.words;
  const narrow = () => window.innerWidth < 640;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];
  let printing = false;

  const LIGHT = {
    ink: "#1c232d", muted: "#66707c", rule: "#dedbd3", card: "#ffffff", land: "#f4f2ec", border: "#b9b5aa", mark: "rgba(28,35,45,.12)",
    series: ["#2b5580", "#bb5a3c", "#c4963a", "#5c8570", "#77597f", "#8a8f98"],
    ramps: [["#e9b9a3", "#d98a6b", "#bf5b3f", "#8f2f1c"], ["#b7cbe0", "#7fa3c7", "#47759f", "#1f4468"]],
  };
  const DARK = {
    ink: "#e3e6ea", muted: "#97a1ad", rule: "#2c343e", card: "#181d24", land: "#20262e", border: "#48525e", mark: "rgba(227,230,234,.13)",
    series: ["#86b0da", "#e58468", "#d9b25f", "#86b39b", "#b393bb", "#a3a9b2"],
    ramps: [["#6b3527", "#a04f37", "#d1704f", "#f2a183"], ["#27435f", "#3c6892", "#6394c4", "#9cc3ea"]],
  };
  // the four warning grades have their own colours wherever they are a series
  const GRADES = { blue: "#3a6ea5", yellow: "#d9b021", orange: "#de7f2b", red: "#b8322a" };
  const palette = () => (dark.matches && !printing ? DARK : LIGHT);
  const font = getComputedStyle(document.body).fontFamily;
  // letters of a chart grow with the page's own
  const px = (size) => (printing ? size - 1 : Math.round((size * parseFloat(getComputedStyle(root).fontSize)) / 15.5));

  function number(value) {
    if (value === null || value === undefined) return "—";
    const digits = Number.isInteger(value) ? 0 : Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 1 ? 2 : 4;
    return value.toLocaleString("en-US", { maximumFractionDigits: digits });
  }
  const same = (pair) => !pair[1] || pair[0] === pair[1];
  const unit = (pair) => (pair[0] ? " " + (same(pair) ? pair[0] : pair[0] + " " + pair[1]) : "");

  function element(name, text, style) {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    if (style) made.className = style;
    return made;
  }
  // the box of a tooltip: a head in both languages, then lines of [name, value]
  function tip(head, lines) {
    const box = element("div", null, "tip");
    box.append(element("strong", head[0]));
    if (!same(head)) box.append(element("div", head[1], "pale"));
    for (const [name, value] of lines) {
      const line = element("div");
      line.append(element("span", (same(name) ? name[0] : name[0] + " " + name[1]) + "  ", "pale"), element("b", value));
      box.append(line);
    }
    return box;
  }
  function watermark(width, height, colour) {
    if (!page.synthetic) return [];
    const marks = [];
    const rows = Math.max(1, Math.round(height / 260));
    const columns = Math.max(1, Math.round(width / 420));
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        marks.push({
          type: "text", silent: true, z: 100, rotation: Math.PI / 8,
          x: (width * (column + 0.5)) / columns, y: (height * (row + 0.5)) / rows,
          style: { text: words.watermark.join(" "), fill: colour, font: "600 20px " + font, align: "center", verticalAlign: "middle" },
        });
      }
    }
    return marks;
  }
  const tooltip = (look) => ({
    backgroundColor: look.card, borderColor: look.rule, borderWidth: 1, padding: [8, 12], confine: true,
    textStyle: { color: look.ink, fontFamily: font, fontSize: px(13) }, extraCssText: "box-shadow:0 2px 10px rgba(0,0,0,.12);border-radius:2px",
  });

  // whiskers of an interval, beside their bar or on their point
  function whiskers(spec, series, at, across, look) {
    const bars = spec.line ? 1 : spec.stacked ? 1 : spec.series.length;
    return {
      type: "custom", name: series.name[0], silent: true, z: 5, tooltip: { show: false },
      data: series.values.map((_, row) => [row, series.lower[row], series.upper[row]]),
      encode: across ? { y: 0, x: [1, 2] } : { x: 0, y: [1, 2] },
      renderItem(_, api) {
        const [row, low, high] = [api.value(0), api.value(1), api.value(2)];
        if (!Number.isFinite(low) || !Number.isFinite(high)) return null;
        const from = across ? api.coord([low, row]) : api.coord([row, low]);
        const to = across ? api.coord([high, row]) : api.coord([row, high]);
        const layout = spec.line ? null : api.barLayout({ count: bars, barGap: "12%", barCategoryGap: "34%" });
        const shift = layout ? layout[Math.min(at, bars - 1)].offsetCenter : 0;
        const [dx, dy] = across ? [0, shift] : [shift, 0];
        const [ex, ey] = across ? [0, 4] : [4, 0];
        const style = { stroke: look.ink, lineWidth: 1.2, fill: null };
        const line = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style });
        const [ax, ay, bx, by] = [from[0] + dx, from[1] + dy, to[0] + dx, to[1] + dy];
        return { type: "group", children: [line(ax, ay, bx, by), line(ax - ex, ay - ey, ax + ex, ay + ey), line(bx - ex, by - ey, bx + ex, by + ey)] };
      },
    };
  }

  function seriesOption(spec, width, height, look) {
    const across = !spec.line && !spec.time;
    const plain = narrow() && !printing;
    const label = (at) => {
      const pair = spec.categories[at];
      if (pair && spec.time && plain && pair[0].length === 10) return pair[0].slice(5);
      return !pair ? "" : plain || same(pair) ? pair[0] : pair[0] + "\n" + pair[1];
    };
    const categories = {
      type: "category", data: spec.categories.map((_, at) => at), inverse: across, axisTick: { show: false },
      axisLine: { lineStyle: { color: look.border } },
      axisLabel: { color: look.ink, fontFamily: font, fontSize: px(12), lineHeight: px(15), formatter: (_, at) => label(at), hideOverlap: !across, interval: across ? 0 : "auto" },
    };
    const values = {
      type: "value", splitLine: { lineStyle: { color: look.rule } }, splitNumber: plain ? 3 : 5,
      axisLabel: { color: look.muted, fontFamily: font, fontSize: px(11), formatter: (value) => number(value) },
    };
    const series = [];
    spec.series.forEach((each, at) => {
      series.push({
        type: spec.line ? "line" : "bar", name: each.name[0], itemStyle: GRADES[each.name[1]] ? { color: GRADES[each.name[1]] } : {}, data: each.values, stack: spec.stacked ? "all" : undefined,
        barGap: "12%", barCategoryGap: "34%", barMaxWidth: px(26), symbol: each.values.length > 60 ? "none" : "circle", symbolSize: 5,
        lineStyle: { width: 2 }, connectNulls: false, emphasis: { disabled: true },
        label: { show: across && !spec.stacked && !each.lower && spec.series.length < 3, position: "right", color: look.muted, fontFamily: font, fontSize: px(11), formatter: (at) => (at.value === null || at.value === undefined ? "" : number(at.value)) },
      });
      if (each.lower) series.push(whiskers(spec, each, at, across, look));
    });
    const several = spec.series.length > 1;
    const whole = spec.series.every((each) => each.values.every((value) => value === null || Number.isInteger(value)));
    values.minInterval = whole ? 1 : 0;
    return {
      animation: false, color: look.series, textStyle: { fontFamily: font },
      grid: { left: across ? 4 : 12, right: across ? px(46) : plain ? 18 : px(36), top: several ? px(44) : 14, bottom: 4, containLabel: true },
      legend: several
        ? { top: 0, left: 0, type: "scroll", icon: "roundRect", itemWidth: 12, itemHeight: 12, textStyle: { color: look.ink, fontFamily: font, fontSize: px(12) }, data: spec.series.map((each) => each.name[0]), formatter: (name) => { const found = spec.series.find((each) => each.name[0] === name); return !found || plain || same(found.name) ? name : name + " " + found.name[1]; } }
        : undefined,
      tooltip: Object.assign(tooltip(look), {
        trigger: "axis", axisPointer: { type: spec.line ? "line" : "shadow", label: { show: false } },
        formatter(found) {
          const at = found[0].dataIndex;
          const lines = spec.series.map((each) => {
            const interval = each.lower && each.lower[at] !== null ? "  [" + number(each.lower[at]) + " – " + number(each.upper[at]) + "]" : "";
            return [each.name, each.values[at] === null ? words.none.join(" ") : number(each.values[at]) + unit(spec.unit) + interval];
          });
          return tip(spec.categories[at], lines);
        },
      }),
      xAxis: across ? values : categories, yAxis: across ? categories : values, series,
      graphic: watermark(width, height, look.mark),
    };
  }
  function seriesHeight(spec) {
    if (spec.line || spec.time) return px(300);
    const bars = spec.stacked ? 1 : spec.series.length;
    return px(60) + spec.categories.length * px(Math.max(34, 12 + bars * 15));
  }

  function bounds(spec) {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    const walk = (node) => {
      if (typeof node[0] === "number") {
        box[0] = Math.min(box[0], node[0]); box[1] = Math.min(box[1], node[1]);
        box[2] = Math.max(box[2], node[0]); box[3] = Math.max(box[3], node[1]);
      } else node.forEach(walk);
    };
    spec.areas.features.forEach((area) => walk(area.geometry.coordinates));
    return box;
  }
  const classOf = (steps, value) => steps.reduce((found, step, at) => (value >= step ? at : found), 0);
  const shade = (ramp, steps, at) => ramp[steps.length < 2 ? 2 : Math.round((at * (ramp.length - 1)) / (steps.length - 1))];

  // one layer: the cell itself where it is large enough to see, a mark of fixed size where it is not
  function layerSeries(spec, layer, at, look) {
    const ramp = look.ramps[at % look.ramps.length];
    return {
      type: "custom", coordinateSystem: "geo", name: "layer" + at, z: 6 - at, data: layer.cells.map((cell) => [cell.centre[0], cell.centre[1], cell.value]),
      renderItem(params, api) {
        const cell = layer.cells[params.dataIndex];
        const colour = shade(ramp, layer.steps, classOf(layer.steps, cell.value));
        const ring = cell.ring.map((corner) => api.coord(corner));
        const size = Math.max(...ring.map((p) => p[0])) - Math.min(...ring.map((p) => p[0]));
        // the second layer is drawn hollow, so that a cell of both layers shows both
        const filled = { fill: colour, opacity: 0.9, stroke: look.card, lineWidth: 1 };
        const hollow = { fill: "rgba(0,0,0,0)", stroke: colour, lineWidth: 2.5 };
        if (size >= 14) return { type: "polygon", shape: { points: ring }, style: at ? hollow : filled };
        const [x, y] = api.coord(cell.centre);
        const mark = narrow() ? 3 : 4.5;
        const far = narrow() ? 5.5 : 8;
        if (at === 0) return { type: "circle", shape: { cx: x, cy: y, r: mark }, style: filled };
        return { type: "polygon", shape: { points: [[x, y - far], [x + far, y], [x, y + far], [x - far, y]] }, style: hollow };
      },
    };
  }
  function mapOption(spec, width, height, look) {
    const box = bounds(spec);
    const names = new Map(spec.areas.features.map((area) => [area.properties.name, area.properties.label]));
    const name = (code) => { const pair = names.get(code) || [code]; return pair[0] || pair[1] || ""; };
    const series = spec.layers.map((layer, at) => layerSeries(spec, layer, at, look));
    if (spec.points.length) {
      series.push({ type: "scatter", coordinateSystem: "geo", symbolSize: 4, silent: true, z: 3, itemStyle: { color: look.muted }, data: spec.points.map((point) => point.at), label: { show: !narrow(), position: "right", color: look.muted, fontFamily: font, fontSize: px(11), formatter: (point) => spec.points[point.dataIndex].label || "" } });
    }
    return {
      animation: false, textStyle: { fontFamily: font },
      geo: {
        map: spec.id, layoutCenter: ["50%", "50%"], layoutSize: Math.min((width - 32) * Math.max(1, shapeOf(spec)), (height - 32) / Math.min(1, shapeOf(spec))), roam: window.matchMedia("(pointer: coarse)").matches ? false : "move",
        aspectScale: Math.cos((((box[1] + box[3]) / 2) * Math.PI) / 180), scaleLimit: { min: 1, max: 60 }, selectedMode: false, tooltip: { show: true },
        itemStyle: { areaColor: look.land, borderColor: look.border, borderWidth: 1 },
        label: { show: true, color: look.muted, textBorderColor: look.land, textBorderWidth: 2, fontFamily: font, fontSize: px(narrow() ? 10 : 12), formatter: (area) => name(area.name) },
        emphasis: { itemStyle: { areaColor: look.land }, label: { color: look.ink } },
      },
      tooltip: Object.assign(tooltip(look), {
        trigger: "item",
        formatter(found) {
          if (found.componentType === "geo") return name(found.name) ? tip([name(found.name), (names.get(found.name) || [])[1]], []) : "";
          const layer = spec.layers[Number(String(found.seriesName).replace("layer", ""))];
          const cell = layer && layer.cells[found.dataIndex];
          if (!cell) return "";
          const head = [cell.label[0] || cell.label[1] || "—", cell.label[1] || cell.label[0]];
          const here = spec.layers.map((other) => [other.value, other.cells.find((each) => each.centre[0] === cell.centre[0] && each.centre[1] === cell.centre[1])]);
          return tip(head, here.filter((pair) => pair[1]).map((pair) => [pair[0], number(pair[1].value)]));
        },
      }),
      series, graphic: watermark(width, height, look.mark),
    };
  }
  // height over width of the areas on the ground
  function shapeOf(spec) {
    const box = bounds(spec);
    const shape = (box[3] - box[1]) / ((box[2] - box[0]) * Math.cos((((box[1] + box[3]) / 2) * Math.PI) / 180));
    return Number.isFinite(shape) && shape > 0 ? shape : 0.6;
  }
  function mapHeight(spec, width) {
    return Math.round(Math.min(Math.max(width * shapeOf(spec), 300), Math.max(420, Math.min(px(820), window.innerHeight * 0.85))));
  }
  function legend(spec, box, look) {
    const list = element("div", null, "legend");
    spec.layers.forEach((layer, at) => {
      const row = element("div");
      const title = element("b", layer.title[0]);
      row.append(title);
      if (!same(layer.title)) { const english = element("span", layer.title[1]); english.lang = "en"; row.append(english); }
      if (!layer.cells.length) row.append(element("span", words.none.join(" ")));
      layer.steps.forEach((step, of) => {
        const mark = element("i", null, at ? "diamond" : "");
        mark.style[at ? "borderColor" : "background"] = shade(look.ramps[at % look.ramps.length], layer.steps, of);
        const item = element("span");
        item.append(mark, document.createTextNode((of + 1 < layer.steps.length ? number(step) + " – <" + number(layer.steps[of + 1]) : "≥ " + number(step))));
        row.append(item);
      });
      list.append(row);
    });
    if (box.nextElementSibling && box.nextElementSibling.className === "legend") box.nextElementSibling.remove();
    box.after(list);
  }
  function tools(spec, box, chart) {
    const bar = element("div", null, "tools");
    const middle = bounds(spec);
    const zoom = (factor) => () => {
      const now = chart.getOption().geo[0];
      const next = factor ? Math.min(60, Math.max(1, (now.zoom || 1) * factor)) : 1;
      const centre = next === 1 ? [(middle[0] + middle[2]) / 2, (middle[1] + middle[3]) / 2] : now.center;
      const touch = window.matchMedia("(pointer: coarse)").matches;
      chart.setOption({ geo: { zoom: next, center: centre, roam: touch && next === 1 ? false : "move" } });
    };
    for (const [sign, name, factor] of [["+", words.closer, 1.6], ["−", words.wider, 1 / 1.6], ["⟲", words.whole, 0]]) {
      const button = element("button", sign);
      button.type = "button";
      button.title = name.join(" ");
      button.setAttribute("aria-label", name.join(" "));
      button.addEventListener("click", zoom(factor));
      bar.append(button);
    }
    box.append(bar);
  }

  function paint(entry) {
    const { spec, box, chart } = entry;
    const look = palette();
    const width = printing ? Math.min(box.clientWidth, 680) : box.clientWidth;
    const height = spec.kind === "map" ? mapHeight(spec, width) : seriesHeight(spec);
    box.style.height = height + "px";
    chart.resize({ width, height, silent: true });
    chart.setOption(spec.kind === "map" ? mapOption(spec, width, height, look) : seriesOption(spec, width, height, look), true);
    if (spec.kind === "map") legend(spec, box, look);
    chart.getZr().flush();
  }
  const paintAll = () => drawn.forEach((entry) => { try { paint(entry); } catch (error) { fail(error); } });

  let open = page.charts.length;
  const finished = () => { if (--open === 0) root.dataset.ready = "true"; };
  for (const spec of page.charts) {
    try {
      const box = document.getElementById(spec.id);
      box.replaceChildren();
      const inner = element("div");
      inner.style.cssText = "position:absolute;inset:0";
      // the picture is the inner box alone: the buttons beside it stay within reach of a screen reader
      inner.setAttribute("role", "img");
      inner.setAttribute("aria-label", box.getAttribute("aria-label"));
      box.removeAttribute("role");
      box.removeAttribute("aria-label");
      box.append(inner);
      if (spec.kind === "map") echarts.registerMap(spec.id, spec.areas);
      else if (spec.series.every((each) => GRADES[each.name[1]])) {
        const order = Object.keys(GRADES);
        spec.series.sort((a, b) => order.indexOf(a.name[1]) - order.indexOf(b.name[1]));
      }
      const chart = echarts.init(inner, null, { renderer: "svg", width: box.clientWidth, height: 300 });
      let first = true;
      chart.on("finished", () => { if (first) { first = false; finished(); } });
      const entry = { spec, box, chart };
      paint(entry);
      if (spec.kind === "map") tools(spec, box, chart);
      drawn.push(entry);
    } catch (error) {
      fail(error);
      finished();
    }
  }
  if (!page.charts.length) root.dataset.ready = "true";

  let waiting = 0;
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(paintAll, 120);
  });
  dark.addEventListener("change", paintAll);
  window.addEventListener("beforeprint", () => { printing = true; paintAll(); });
  window.addEventListener("afterprint", () => { printing = false; paintAll(); });
})();
