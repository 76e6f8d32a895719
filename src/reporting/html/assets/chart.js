// The chart of a page: panels one above the other that share their rows, cursor and zoom. A row is a bar, or some bars
// gathered. The data lies in the element `chart-data`, as `chart.py` writes it.

const MOST_TOLD = 4;  // bars of one candle whose fills are told

function drawChart(section, chart) {
  const panels = chart.panels.map(decodePanel), times = decodeColumn(chart.times), count = times.length;
  const marks = chart.marks && {...chart.marks, buys: decodeColumn(chart.marks.buys), sells: decodeColumn(chart.marks.sells)};
  const holder = section.querySelector(".panels"), readout = section.querySelector(".readout");
  const plots = [], titles = [];
  const dateOf = row => dateText(times[row], chart.is_intraday);
  let view = {};

  // Shows some rows in every panel; never fewer than five, never beyond the ends.
  function show(low, high) {
    const width = Math.min(count, Math.max(high - low, 5));
    const min = Math.max(-0.5, Math.min((low + high - width) / 2, count - 0.5 - width));
    view = {min, max: min + width};
    plots.forEach(plot => plot.setScale("x", view));
  }

  function showAll() {
    show(-0.5, count - 0.5);
  }

  function move(zoom, shift) {
    const width = view.max - view.min, middle = view.min + (0.5 + shift) * width;
    show(middle - zoom * width / 2, middle + zoom * width / 2);
  }

  function follow(plot, scale) {
    const {min, max} = plot.scales.x;
    if (scale === "x" && (min !== view.min || max !== view.max)) show(min, max);
  }

  function dateTicks(plot, _, min, max) {
    const most = Math.max(1, Math.floor(plot.width / 110)), step = Math.max(1, Math.ceil((max - min) / most)), ticks = [];
    for (let row = Math.max(0, Math.ceil(min / step) * step); row <= Math.min(max, count - 1); row += step) ticks.push(row);
    return ticks;
  }

  function dateLabels(_, ticks) {
    const span = times[ticks[ticks.length - 1]] - times[ticks[0]];  // milliseconds; years, or a few days
    const [from, to] = span > 1e11 ? [0, 7] : chart.is_intraday && span < 1e9 ? [5, 16] : [0, 10];
    return ticks.map(row => dateOf(row).slice(from, to));
  }

  function axesOf(panel, isLast) {
    const style = {
      stroke: () => colour("muted"), grid: {stroke: () => colour("grid"), width: 1}, ticks: {show: false},
      font: "12px system-ui, sans-serif", gap: 6,
    };
    const most = plot => Math.max(3, Math.floor(plot.over.clientHeight / 40));
    return [
      {...style, splits: dateTicks, values: isLast ? dateLabels : () => [], size: isLast ? 28 : 0},
      {
        ...style, splits: (plot, _, low, high) => valueTicks(low, high, most(plot), panel.is_log),
        filter: (_, ticks) => ticks, values: (_, ticks) => ticks.map(axisNumber), size: 58,
      },
    ];
  }

  function sizeOf(place) {
    const height = panels[place].height * (holder.clientWidth < 600 ? 0.75 : 1);
    return {width: holder.clientWidth, height: Math.round(height) + (place === panels.length - 1 ? 28 : 0)};
  }

  function addPanel(panel, place) {
    const drawn = drawnSeries(panel), title = titleOf(panel);
    titles.push(title);
    holder.append(title.element);
    plots.push(new uPlot({
      ...sizeOf(place),
      legend: {show: false},
      padding: [6, 8, 0, 0],
      scales: {x: {time: false}, y: {distr: panel.is_log ? 3 : 1, range: rangeOf(panel)}},
      axes: axesOf(panel, place === panels.length - 1),
      series: [{}, ...drawn.map(([style]) => style)],
      cursor: {
        y: false, points: {show: false}, sync: {key: "rows"}, drag: {x: true, y: false},
        bind: {dblclick: () => () => showAll()},
      },
      hooks: {
        drawClear: [plot => drawBorders(plot, chart.borders)],
        draw: panel.candles ? [plot => drawCandles(plot, panel.candles, marks)] : [],
        setScale: [follow],
        setCursor: [plot => tell(plot.cursor.idx)],
      },
    }, [times.map((_, row) => row), ...drawn.map(([, values]) => values)], holder));
  }

  // What was filled within the candle that holds a row, which gathers rows where they are many, by date.
  function fillsText(row) {
    const size = rowsOfCandle(plots[0]), first = row - row % size, said = [];
    for (let at = first; marks && at < Math.min(first + size, count); at++) {
      const text = marksText(marks, at);
      if (text) said.push(at === row ? text : `${dateOf(at)}: ${text}`);
    }
    const more = said.length - MOST_TOLD;
    return more > 0 ? [...said.slice(0, MOST_TOLD), `and ${more} bars more`].join("; ") : said.join("; ");
  }

  // Says what is known of the row under the cursor, or of the last one.
  function tell(row) {
    const at = row ?? count - 1, date = document.createElement("b");
    date.textContent = dateOf(at);
    readout.replaceChildren(date, ` ${fillsText(at)}`);
    titles.forEach(title => title.tell(at));
  }

  panels.forEach(addPanel);
  showAll();
  tell(null);
  const actions = {
    in: () => move(0.5, 0), out: () => move(2, 0), back: () => move(1, -0.5), on: () => move(1, 0.5), all: showAll,
  };
  for (const button of section.querySelectorAll("button")) button.onclick = actions[button.name];
  new ResizeObserver(() => plots.forEach((plot, place) => plot.setSize(sizeOf(place)))).observe(holder);
  matchMedia("(prefers-color-scheme: dark)").onchange = () => plots.forEach(plot => plot.redraw());
}

const root = document.documentElement;
try {
  root.classList.add("has-chart");  // hides the pictures that the chart replaces
  drawChart(document.getElementById("chart"), JSON.parse(document.getElementById("chart-data").textContent));
} catch (error) {
  root.classList.remove("has-chart");
  throw error;
}
