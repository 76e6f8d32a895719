// Candles and the marks of fills, drawn on a panel of uPlot.

const NARROWEST = 4;  // pixels a candle takes; narrower ones are gathered
const WIDEST = 14;
const MARK = 4;  // pixels, half the width of a triangle
const MOST_MARKED = 0.4;  // share of the candles in view up to which trades are marked, unless candles are few
const FEW_GROUPS = 60;

// The candles in view as [first row, last row]: one each, or neighbours gathered where they would be too narrow.
function groupsInView(plot, bars) {
  const {min, max} = plot.scales.x, size = rowsOfCandle(plot);
  const begin = Math.max(0, Math.floor(Math.ceil(min) / size) * size), groups = [];
  for (let row = begin; row <= Math.min(bars - 1, max); row += size) groups.push([row, Math.min(row + size, bars) - 1]);
  return groups;
}

function rowsOfCandle(plot) {
  return Math.max(1, Math.ceil(NARROWEST / pixelsOfBar(plot)));
}

function pixelsOfBar(plot) {
  return plot.over.clientWidth / (plot.scales.x.max - plot.scales.x.min);
}

function gather(candles, [first, last]) {
  let low = candles.low[first], high = candles.high[first];
  for (let row = first + 1; row <= last; row++) {
    low = Math.min(low, candles.low[row]);
    high = Math.max(high, candles.high[row]);
  }
  return {open: candles.open[first], high, low, close: candles.close[last]};
}

function drawCandles(plot, candles, marks) {
  const {ctx, bbox} = plot, ratio = devicePixelRatio, groups = groupsInView(plot, candles.close.length);
  const width = ratio * Math.min(WIDEST, Math.max(1, Math.floor(0.7 * rowsOfCandle(plot) * pixelsOfBar(plot))));
  const gain = colour("gain"), loss = colour("loss");
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const group of groups) {
    const candle = gather(candles, group), x = Math.round(plot.valToPos((group[0] + group[1]) / 2, "x", true));
    const [open, high, low, close] = ["open", "high", "low", "close"].map(name => plot.valToPos(candle[name], "y", true));
    ctx.fillStyle = candle.close < candle.open ? loss : gain;
    ctx.fillRect(x - ratio / 2, high, ratio, Math.max(low - high, 1));
    ctx.fillRect(x - width / 2, Math.min(open, close), width, Math.max(Math.abs(close - open), ratio));
  }
  if (marks) drawMarks(plot, candles, marks, groups);
  ctx.restore();
}

// Triangles: up under a candle where something was bought, down above it where something was sold.
function drawMarks(plot, candles, marks, groups) {
  const happened = (counts, [first, last]) => counts.subarray(first, last + 1).some(count => count > 0);
  const bought = groups.filter(group => happened(marks.buys, group));
  const sold = groups.filter(group => happened(marks.sells, group));
  const {ctx, bbox} = plot, half = MARK * devicePixelRatio;
  ctx.fillStyle = colour("ink");
  if (Math.max(bought.length, sold.length) > MOST_MARKED * Math.max(groups.length, FEW_GROUPS)) {
    ctx.textAlign = "left";
    ctx.fillText("too many trades to mark: look closer", bbox.left + 2 * half, bbox.top + 4 * half);
    return;
  }
  const triangle = (group, price, side) => {
    const x = plot.valToPos((group[0] + group[1]) / 2, "x", true), y = plot.valToPos(price, "y", true);
    ctx.beginPath();
    ctx.moveTo(x, y + side * half);
    ctx.lineTo(x - half, y + 3 * side * half);
    ctx.lineTo(x + half, y + 3 * side * half);
    ctx.fill();
  };
  for (const group of bought) triangle(group, gather(candles, group).low, 1);
  for (const group of sold) triangle(group, gather(candles, group).high, -1);
}
