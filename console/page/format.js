// How figures are written. All text that the daemon did not write itself is shown through textContent.

/** A count or a rate in three digits, from ten thousand on: 12, 9999, 12.3k, 150k, 3.4M. */
export function short(n) {
  if (!Number.isFinite(n)) return '–';
  if (Math.abs(n) < 9999.5) return n >= 100 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(1);
  let unit = '';
  for (const next of ['k', 'M', 'G', 'T']) {
    if (unit && Math.abs(n) < 999.5) break; // what rounds to a thousand is one of the next unit
    n /= 1e3;
    unit = next;
  }
  return `${Number(n.toPrecision(3))}${unit}`; // as a number it loses the zeros after the point only
}

/** A count with its thousands apart. */
export function whole(n) { return Number(n).toLocaleString('en'); }

/** So many events. */
export function events(n) { return n === 1 ? '1 event' : `${whole(n)} events`; }

/** Bytes in powers of 1024. */
export function bytes(n) {
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (n < 1023.5) break; // what rounds to 1024 is one of the next unit
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

/** A moment in UTC, to the second: 2026-11-30 21:05:09. */
export function utc(moment) { return new Date(moment).toISOString().slice(0, 19).replace('T', ' '); }
