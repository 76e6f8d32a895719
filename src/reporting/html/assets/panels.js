// What a panel of the chart shows: its title, scale and series.

const DASHES = {solid: null, dashed: [6, 4], dotted: [2, 3]};

function decodePanel(panel) {
  const decoded = columns => Object.fromEntries(Object.entries(columns).map(([name, text]) => [name, decodeColumn(text)]));
  const lines = panel.lines.map(line => ({...line, ...decoded(line.columns)}));
  return {...panel, lines, candles: panel.candles && decoded(panel.candles)};
}

// Pairs of a series for uPlot and its values: each line, and where bars were gathered also its lowest and highest.
function drawnSeries(panel) {
  const lines = panel.lines.flatMap(line => {
    const style = {stroke: () => colour(line.colour), width: line.is_area ? 0.6 : 1.2, dash: DASHES[line.style], points: {show: false}};
    if (line.is_area) {
      Object.assign(style, {fill: () => `${colour(line.colour)}4d`, fillTo: 0});
      style.paths = uPlot.paths.stepped({align: 1});
    }
    return [line.last, line.low, line.high].filter(Boolean).map(values => [style, values]);
  });
  const unseen = {paths: () => null, points: {show: false}};  // candles are drawn by hand; these set the scale
  return panel.candles ? [...lines, [unseen, panel.candles.low], [unseen, panel.candles.high]] : lines;
}

function rangeOf(panel) {
  return (_, low, high) => {
    if (low === null) return [0, 1];
    if (panel.is_log) {
      const factor = Math.max((high / low) ** 0.06, 1.001);
      return [low / factor, high * factor];
    }
    if (!panel.is_money) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
    const pad = 0.06 * (high - low) || 0.01 * Math.abs(high) || 1;
    return [low - pad, high + pad];
  };
}

// The line above a panel names what it shows. `tell(row)` writes the values of a row into it.
function titleOf(panel) {
  const element = document.createElement("p"), told = [];
  const add = (name, values, digits, ...mark) => {
    const pair = document.createElement("span"), value = document.createElement("b");
    pair.append(...mark, `${name} `, value);
    element.append(" ", pair);
    told.push(row => { value.textContent = plainNumber(values[row], digits) + panel.unit; });
  };
  element.append(panel.is_log ? `${panel.title} (log)` : panel.title);
  for (const name in panel.candles) add(name[0].toUpperCase(), panel.candles[name], 6);
  for (const line of panel.lines) {
    const isAlone = panel.lines.length === 1;
    add(isAlone ? "" : line.label, line.last, panel.is_money ? 6 : 3, ...(isAlone ? [] : [swatchOf(line)]));
  }
  return {element, tell: row => told.forEach(write => write(row))};
}

function swatchOf(line) {
  const swatch = document.createElement("i");
  swatch.style.borderTop = `3px ${line.style} var(--${line.colour})`;
  return swatch;
}

// What was filled at a row, and why.
function marksText(marks, row) {
  if (marks.notes[row]) return marks.notes[row].join("; ");
  const counts = [["bought", marks.buys[row]], ["sold", marks.sells[row]]].filter(([, count]) => count > 0);
  return counts.map(([done, count]) => `${done} ${count} ×`).join(", ");
}

// Dotted lines where something new begins.
function drawBorders(plot, rows) {
  const {ctx, bbox} = plot;
  ctx.save();
  ctx.strokeStyle = colour("muted");
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  for (const row of rows) {
    const x = Math.round(plot.valToPos(row, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
  }
  ctx.stroke();
  ctx.restore();
}
