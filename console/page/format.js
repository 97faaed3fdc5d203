// How figures are written. Everything the page shows of others' words goes through textContent.

/** A count or a rate in three digits: 12, 1.2k, 3.4M. */
export function short(n) {
  if (!Number.isFinite(n)) return '–';
  for (const [size, unit] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (Math.abs(n) >= size) return (n / (unit === 'k' ? 1e3 : size)).toPrecision(3).replace(/\.?0+$/, '') + unit;
  }
  return n >= 100 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(1);
}

/** A count with its thousands apart. */
export function whole(n) { return Number(n).toLocaleString('en'); }

/** So many events. */
export function events(n) { return n === 1 ? '1 event' : `${whole(n)} events`; }

/** Bytes in powers of 1024. */
export function bytes(n) {
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (n < 1024) break;
    n /= 1024;
    unit = next;
  }
  return `${n < 10 && unit !== 'B' ? n.toFixed(1) : Math.round(n)} ${unit}`;
}

/** A time in its two largest units. */
export function time(seconds) {
  if (seconds <= 0) return 'none';
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
}

/** The upper bound below which a part of the values lies, from two cumulative histograms; NaN without values. */
export function quantile(part, bounds, before, now) {
  if (!bounds || !now || !now.counts) return NaN;
  const counts = now.counts.map((n, i) => n - (before?.counts?.[i] ?? 0));
  const all = now.count - (before?.count ?? 0);
  if (all <= 0) return NaN;
  const at = counts.findIndex((n) => n >= part * all);
  return at < 0 ? Infinity : bounds[at];
}
