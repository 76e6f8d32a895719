// Numbers, dates and ticks of the chart.

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function decodeColumn(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place++) bytes[place] = raw.charCodeAt(place);
  return new Float64Array(bytes.buffer);
}

function plainNumber(value, digits) {
  const size = Math.abs(value), rounded = Number(value.toPrecision(digits));
  const isExtreme = size !== 0 && (size >= 1e12 || size < 1e-6);
  const text = isExtreme ? rounded.toExponential() : rounded.toLocaleString("en-US", {maximumFractionDigits: 12});
  return text.replace("e+", "e").replaceAll("-", "−");
}

function axisNumber(value) {
  const size = Math.abs(value);
  if (size < 1e5 || size >= 1e12) return plainNumber(value, 6);
  return value.toLocaleString("en-US", {notation: "compact", maximumFractionDigits: 3});
}

// Even steps of 1, 2, 2.5 or 5 times a power of ten; on a log axis that spans a decade or so, 1, 2 and 5 of each.
function valueTicks(low, high, most, isLog) {
  return isLog && high / low > 8 ? logTicks(low, high, most) : evenTicks(low, high, most);
}

function evenTicks(low, high, most) {
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 2.5, 5, 10].find(factor => factor * power >= 0.999 * raw);
  const first = Math.ceil(low / step), ticks = [];
  for (let place = first; place * step <= high && place < first + 50; place++) ticks.push(place * step);
  return ticks;
}

function logTicks(low, high, most) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const every = Math.ceil((last - first) / most), factors = 3 * (last - first) <= 2 * most ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = first; power <= last; power += every) for (const factor of factors) ticks.push(factor * 10 ** power);
  return ticks.filter(tick => tick >= low && tick <= high);
}

// What a row is called, in UTC: the day, or the minute where bars are shorter.
function dateText(milliseconds, isIntraday) {
  const iso = new Date(milliseconds).toISOString();
  return isIntraday ? iso.slice(0, 16).replace("T", " ") : iso.slice(0, 10);
}
